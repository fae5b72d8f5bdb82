# 1. Create a task
curl -X POST https://api.visowork.com/v1/video/process \
-H "Authorization: Bearer $VISOWORK_API_KEY" \
-H "Content-Type: application/json" \
-d '{
"input": [{ "type": "video_url", "url": "https://example.com/clip.mp4",
"sampling": { "mode": "fps", "value": 5 }, "max_frames": 300 }],
"steps": [
{ "model": "detect", "parameters": { "classes": ["pedestrian"] } },
{ "model": "feature" }
]
}'

# 2. Stream chunks live
curl -N https://api.visowork.com/v1/video/tasks/vt_01HZ.../stream \
-H "Authorization: Bearer $VISOWORK_API_KEY"

# 3. Read the final aggregate when done
curl https://api.visowork.com/v1/video/tasks/vt_01HZ.../results \
-H "Authorization: Bearer $VISOWORK_API_KEY"
