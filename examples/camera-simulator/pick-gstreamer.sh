#!/bin/sh
# Copies what the camera simulator needs of GStreamer into a folder, with the paths that it has on the system:
#   pick-gstreamer.sh FOLDER
# /present lists the libraries of the image that the folder will be laid over; those are left out.
set -eu
folder=$1
plugins="app coreelements gio hls isomp4 mpegtsmux multifile rtp rtpmanager typefindfunctions udp videoparsersbad"
libraries=/usr/lib/$(uname -m)-linux-gnu

{
    for plugin in $plugins; do
        echo "$libraries/gstreamer-1.0/libgst$plugin.so"
    done
    echo "$libraries"/libgstrtspserver-1.0.so.0
    echo "$libraries"/libgirepository-1.0.so.1
    find /usr/lib/python3/dist-packages/gi -name '*.so'
} > /wanted

# The linker names some libraries below /lib, which is a link to /usr/lib.
xargs ldd < /wanted | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sed 's#^/lib/#/usr/lib/#' | sort -u > /loaded
find /usr/lib/python3/dist-packages/gi "$libraries"/girepository-1.0 -type f ! -name '*.pyc' > /bindings
ls /usr/share/doc/*gst*/copyright /usr/share/doc/python3-gi/copyright > /licences

mkdir -p "$folder"
sort -u /wanted /loaded /bindings /licences | grep -vxFf /present | xargs cp --parents --dereference -t "$folder"
