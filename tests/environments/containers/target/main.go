// A tiny service for tests of faults on containers: it echoes lines, and does on command what a fault should be felt by.
//
//	burn MS     spin for so long, answer the CPU time got
//	hold BYTES  allocate and touch so much memory, answer "held"
//	write PATH  append one page to a file, answer "written" or the error
//	seen        answer how many lines have arrived at this process
//	call ADDR   connect to another one, send a hello, answer what came back or the error
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

var seen atomic.Int64
var held [][]byte

func main() {
	for _, port := range os.Args[1:] {
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			panic(err)
		}
		go accept(listener)
	}
	select {}
}

func accept(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		seen.Add(1)
		fmt.Fprintln(connection, answer(lines.Text()))
	}
}

func answer(line string) string {
	command, argument, _ := strings.Cut(line, " ")
	switch command {
	case "burn":
		return burn(argument)
	case "hold":
		size, _ := strconv.Atoi(argument)
		block := make([]byte, size)
		for i := 0; i < size; i += 4096 {
			block[i] = 1
		}
		held = append(held, block)
		return "held"
	case "write":
		file, err := os.OpenFile(argument, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			defer file.Close()
			_, err = file.Write(make([]byte, 4096))
		}
		if err != nil {
			return err.Error()
		}
		return "written"
	case "seen":
		return strconv.FormatInt(seen.Load(), 10)
	case "call":
		return call(argument)
	}
	return line
}

func burn(argument string) string {
	ms, _ := strconv.Atoi(argument)
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for start := time.Now(); time.Since(start) < time.Duration(ms)*time.Millisecond; {
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	return strconv.FormatInt((after.Utime.Nano()-before.Utime.Nano())/1e6, 10)
}

func call(address string) string {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err.Error()
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprintln(connection, "hello")
	text, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(text)
}
