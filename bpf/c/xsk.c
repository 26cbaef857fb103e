// SPDX-License-Identifier: Apache-2.0
//
// XDP programs that hand every frame of a receive queue to the AF_XDP socket
// bound to that queue.  A frame on a queue without a socket goes on to the
// kernel's own stack.
//
// Rebuilt by "go generate ./bpf"; the generated files are committed.

#include <linux/bpf.h>
#include <linux/types.h>

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

static long (*bpf_redirect_map)(void *map, __u64 key, __u64 flags) = (void *)BPF_FUNC_redirect_map;
static long (*bpf_xdp_adjust_head)(struct xdp_md *ctx, int delta) = (void *)BPF_FUNC_xdp_adjust_head;

// Metadata that the driver keeps beside the frame; needs a device-bound program.
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *vlan_proto,
                                        __u16 *vlan_tci) __attribute__((section(".ksyms")));

// Queue → socket.  Userspace sets the size to the device's number of queues.
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 64);
} sluice_xsks SEC(".maps");

static __always_inline int to_socket(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sluice_xsks, ctx->rx_queue_index, XDP_PASS);
}

// Any kernel.
SEC("xdp")
int sluice_xsk(struct xdp_md *ctx)
{
	return to_socket(ctx);
}

// For sockets that take frames of several buffers (XDP_USE_SG).
SEC("xdp.frags")
int sluice_xsk_sg(struct xdp_md *ctx)
{
	return to_socket(ctx);
}

struct mac_pair {
	__u32 word[3];
};

// Puts the VLAN tag that the driver took out of the frame back in.
static __always_inline void restore_tag(struct xdp_md *ctx)
{
	__be16 proto = 0;
	__u16 tci = 0;

	if (bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci) || !proto)
		return;
	if (bpf_xdp_adjust_head(ctx, -4))
		return;

	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	if (data + 16 > end)
		return;

	struct mac_pair *to = data, *from = data + 4;
	to->word[0] = from->word[0];
	to->word[1] = from->word[1];
	to->word[2] = from->word[2];
	*(__be16 *)(data + 12) = proto;
	*(__be16 *)(data + 14) = __builtin_bswap16(tci);
}

SEC("xdp")
int sluice_xsk_vlan(struct xdp_md *ctx)
{
	restore_tag(ctx);
	return to_socket(ctx);
}

SEC("xdp.frags")
int sluice_xsk_vsg(struct xdp_md *ctx)
{
	restore_tag(ctx);
	return to_socket(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
