// SPDX-License-Identifier: BSD-3-Clause

// What once.c does, in Go: raw system calls, several threads.
package main

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

type alloc struct{ size, flags, id uint32 }
type mapping struct {
	size, flags, ioas, reserved uint32
	va, length, iova            uint64
}

var buffer [4096]byte

func ioctl(fd uintptr, cmd uintptr, arg unsafe.Pointer) {
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, fd, cmd, uintptr(arg)); e != 0 {
		fmt.Printf("ioctl %#x: %v\n", cmd, e)
		os.Exit(1)
	}
}

func client(done *sync.WaitGroup) {
	defer done.Done()
	for i := 0; i < 20; i++ {
		f, err := os.OpenFile("/dev/iommu", os.O_RDWR, 0)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		a := alloc{size: 12}
		ioctl(f.Fd(), 0x3b81, unsafe.Pointer(&a))
		m := mapping{size: 40, flags: 7, ioas: a.id, va: uint64(uintptr(unsafe.Pointer(&buffer))), length: 4096, iova: 4096}
		ioctl(f.Fd(), 0x3b85, unsafe.Pointer(&m))
		if a.id != 1 {
			fmt.Println("id", a.id)
			os.Exit(1)
		}
		f.Close()
	}
}

func main() {
	var done sync.WaitGroup
	for i := 0; i < 8; i++ {
		done.Add(1)
		go client(&done)
	}
	done.Wait()
	fmt.Println("ok")
}
