package bpf

//go:generate go tool bpf2go -cc clang-14 -target bpfel -go-package bpf xsk c/xsk.c -- -O2 -Wall -I/usr/include/x86_64-linux-gnu
