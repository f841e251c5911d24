// A kubelet that only serves logs, with the kubelet's own reader: it finds the files of a container
// by links, and takes a container to be running until a file says that it has ended.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/util/flushwriter"
	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
)

var (
	address = flag.String("address", "", "where to listen")
	cert    = flag.String("cert", "", "certificate")
	key     = flag.String("key", "", "its key")
	folder  = flag.String("links", "", "folder of the links NAMESPACE_POD.current and .previous")
)

// runtime answers as the container runtime does, for an id that is the path of a log.
type runtime struct{ internalapi.RuntimeService }

func (runtime) ContainerStatus(_ context.Context, id string, _ bool) (*runtimeapi.ContainerStatusResponse, error) {
	state := runtimeapi.ContainerState_CONTAINER_RUNNING
	if _, err := os.Stat(id + ".ended"); err == nil {
		state = runtimeapi.ContainerState_CONTAINER_EXITED
	}
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{State: state}}, nil
}

// wanted reads what the API server passes on, which has checked it.
func wanted(query url.Values) (*corev1.PodLogOptions, error) {
	is := func(name string) bool { return query.Get(name) == "true" }
	options := &corev1.PodLogOptions{Follow: is("follow"), Previous: is("previous"), Timestamps: is("timestamps")}
	for name, number := range map[string]**int64{
		"sinceSeconds": &options.SinceSeconds, "tailLines": &options.TailLines, "limitBytes": &options.LimitBytes,
	} {
		if query.Has(name) {
			*number = new(int64)
			if _, err := fmt.Sscan(query.Get(name), *number); err != nil {
				return nil, err
			}
		}
	}
	if query.Has("sinceTime") {
		since, err := time.Parse(time.RFC3339, query.Get("sinceTime"))
		if err != nil {
			return nil, err
		}
		options.SinceTime = &metav1.Time{Time: since}
	}
	return options, nil
}

func serve(w http.ResponseWriter, r *http.Request) {
	options, err := wanted(r.URL.Query())
	if err != nil {
		http.Error(w, `{"message": "Unable to decode query."}`, http.StatusBadRequest)
		return
	}
	pod, which := r.PathValue("pod"), "current"
	if options.Previous {
		which = "previous"
	}
	link := filepath.Join(*folder, fmt.Sprintf("%s_%s.%s", r.PathValue("namespace"), pod, which))
	path, err := filepath.EvalSymlinks(link)
	if err != nil {
		message := fmt.Sprintf("previous terminated container %q in pod %q not found", r.PathValue("container"), pod)
		http.Error(w, message, http.StatusBadRequest)
		return
	}
	w.Header().Set("Transfer-Encoding", "chunked")
	out := flushwriter.Wrap(w)
	if err := logs.ReadLogs(r.Context(), nil, path, path, logs.NewLogOptions(options, time.Now()), runtime{}, out, out); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func main() {
	flag.Parse()
	http.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", serve)
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	log.Fatal(http.ListenAndServeTLS(*address, *cert, *key, nil))
}
