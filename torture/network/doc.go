// Package network is a router in user space, between network namespaces of its own.
//
// Each client has a namespace with a TUN device, and the server has one. The kernel's own TCP runs
// at both ends. The router passes the packets on. It loses, delays, reorders and duplicates them.
// It holds them to a rate, drops large ones, and swallows a direction. It translates addresses,
// forgets that translation, and gives a client another address. Every setting may change while
// packets flow. Counters say how many packets each fault has met.
//
// It needs Linux, root and /dev/net/tun, and no tc. It leaves nothing: namespaces and devices end
// with the process, also by kill -9.
package network
