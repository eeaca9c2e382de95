// The server that load generators are measured against: 200 bytes of JSON, and a note of when each request came.
// GET /stamps gives the notes (monotonic nanoseconds, a JSON list) and forgets them, so no client is judged by its own word.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

func main() {
	began := time.Now()
	body := []byte(`{"ok":true,"filling":"` + strings.Repeat("-", 176) + `"}`)
	var lock sync.Mutex
	stamps := make([]int64, 0, 1<<20)
	http.HandleFunc("/", func(out http.ResponseWriter, _ *http.Request) {
		// Go's differences of times are taken on the monotonic clock.
		at := time.Since(began).Nanoseconds()
		lock.Lock()
		stamps = append(stamps, at)
		lock.Unlock()
		out.Header().Set("Content-Type", "application/json")
		out.Write(body)
	})
	http.HandleFunc("/stamps", func(out http.ResponseWriter, _ *http.Request) {
		lock.Lock()
		text, _ := json.Marshal(stamps)
		stamps = stamps[:0]
		lock.Unlock()
		out.Write(text)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	http.Serve(listener, nil)
}
