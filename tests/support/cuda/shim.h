// Stands in for CUDA's own words, so that a host compiler takes the worker's kernel, and runs its threads in a loop.
#include <algorithm>
#include <cmath>
#include <cstring>
#define __global__
#define __device__
using std::max;
using std::min;
struct Dim { int x, y; };
static Dim blockIdx, blockDim, threadIdx;
static inline unsigned short half_bits(float value) {
    const _Float16 half = (_Float16)value;
    unsigned short bits;
    memcpy(&bits, &half, sizeof bits);
    return bits;
}
#include KERNEL

extern "C" int job_bytes() { return sizeof(Job); }

extern "C" void launch(Dim grid, Dim block, const unsigned char *luma, const unsigned char *blue,
                       const unsigned char *red, Element *tensor, const Job *job) {
    blockDim = block;
    for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
            for (threadIdx.y = 0; threadIdx.y < block.y; threadIdx.y++)
                for (threadIdx.x = 0; threadIdx.x < block.x; threadIdx.x++)
                    to_tensor(luma, blue, red, tensor, *job);
}
