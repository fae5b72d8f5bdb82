// The process that holds a pod's namespaces open.
module videofleet.local/localcluster/pause

go 1.21
