// From a decoded picture (NV12, or three planes of 4:2:0) to the tensor of a model: a region of it is scaled, its
// colours are converted, and the values are normalised and laid out as the model reads them. One thread a pixel of the
// model's image. host.py has the same arithmetic in NumPy.
//
// ELEMENT is the type of the tensor's values: 1 uint8, 2 float16, 4 float32.

#if ELEMENT == 1
typedef unsigned char Element;
static __device__ Element as_element(float value) { return (Element)fminf(fmaxf(rintf(value), 0.0f), 255.0f); }
#elif ELEMENT == 2
typedef unsigned short Element;
static __device__ Element as_element(float value) {
#ifdef __CUDA_ARCH__
    Element bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
#else
    return half_bits(value);
#endif
}
#else
typedef float Element;
static __device__ Element as_element(float value) { return value; }
#endif

// All members have four bytes, so that the layout is the same wherever it is written (kernel.py).
struct Job {
    // The picture: pixels, bytes from row to row, and from one chroma sample to the next.
    int width, height, luma_row, chroma_row, chroma_step;
    // The region: its corner, and pixels of the picture a pixel of the image.
    float left, top, across, down;
    // The image, and where in it the region lies.
    int image_width, image_height, at_x, at_y, inner_width, inner_height;
    // Elements of the tensor from one pixel, row and channel to the next.
    int pixel_stride, row_stride, channel_stride;
    // The value of what the region does not cover, before it is normalised.
    float padding;
    // A channel in the model's order: factors of Y, U and V, and what is added. 0 to 255 comes out.
    float colour[12];
    float mean[3], deviation[3];
};

// Samples of one plane around a place, weighted by a triangle as wide as what is made one pixel: nothing that is shrunk
// is left out (the "bilinear" of Pillow and of FFmpeg's scaler). Edges are cut, not repeated.
struct Window {
    int first, last;
    float middle, reach;
    __device__ Window(float place, float step, int length) {
        middle = place;
        reach = fmaxf(step, 1.0f);
        first = max((int)(place - reach + 0.5f), 0);
        last = min((int)(place + reach + 0.5f), length);
    }
    __device__ float weight(int at) const { return fmaxf(1.0f - fabsf((at + 0.5f - middle) / reach), 0.0f); }
};

static __device__ float sample(
    const unsigned char *plane, int row, int step, int width, int height, float x, float y, float across, float down) {
    const Window columns(x, across, width), rows(y, down, height);
    float sum = 0.0f, weights = 0.0f;
    for (int line = rows.first; line < rows.last; line++) {
        const unsigned char *samples = plane + (long long)line * row;
        float inner = 0.0f, inner_weights = 0.0f;
        for (int column = columns.first; column < columns.last; column++) {
            const float weight = columns.weight(column);
            inner += weight * samples[(long long)column * step];
            inner_weights += weight;
        }
        const float weight = rows.weight(line);
        sum += weight * inner;
        weights += weight * inner_weights;
    }
    return sum / weights;
}

extern "C" __global__ void to_tensor(
    const unsigned char *luma, const unsigned char *blue, const unsigned char *red, Element *tensor, const Job job) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= job.image_width || y >= job.image_height) return;
    const int inner_x = x - job.at_x, inner_y = y - job.at_y;
    const bool covered = inner_x >= 0 && inner_y >= 0 && inner_x < job.inner_width && inner_y < job.inner_height;
    float Y = 0.0f, U = 0.0f, V = 0.0f;
    if (covered) {
        const float at_x = job.left + (inner_x + 0.5f) * job.across, at_y = job.top + (inner_y + 0.5f) * job.down;
        const int half_width = (job.width + 1) / 2, half_height = (job.height + 1) / 2;
        const float across = job.across / 2, down = job.down / 2;
        Y = sample(luma, job.luma_row, 1, job.width, job.height, at_x, at_y, job.across, job.down);
        U = sample(blue, job.chroma_row, job.chroma_step, half_width, half_height, at_x / 2, at_y / 2, across, down);
        V = sample(red, job.chroma_row, job.chroma_step, half_width, half_height, at_x / 2, at_y / 2, across, down);
    }
    Element *pixel = tensor + (long long)y * job.row_stride + (long long)x * job.pixel_stride;
    for (int channel = 0; channel < 3; channel++) {
        float value = job.padding;
        if (covered) {
            const float *factor = job.colour + 4 * channel;
            value = fminf(fmaxf(factor[0] * Y + factor[1] * U + factor[2] * V + factor[3], 0.0f), 255.0f);
        }
        value = (value - job.mean[channel]) / job.deviation[channel];
        pixel[(long long)channel * job.channel_stride] = as_element(value);
    }
}
