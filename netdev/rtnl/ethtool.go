package rtnl

import (
	"fmt"

	"github.com/safchain/ethtool"

	"sluice/netdev"
)

// Bits of netdev.Features, OFPPF_* of OpenFlow 1.1.
const (
	f10MbHD = 1 << iota
	f10MbFD
	f100MbHD
	f100MbFD
	f1GbHD
	f1GbFD
	f10GbFD
	f40GbFD
	f100GbFD
	f1TbFD
	fOther
	fCopper
	fFiber
	fAutoneg
	fPause
	fPauseAsym
)

// linkModes maps bits of ethtool's legacy masks (SUPPORTED_*, ADVERTISED_*).
var linkModes = [...]struct {
	bit     uint
	feature uint32
}{
	{0, f10MbHD}, {1, f10MbFD}, {2, f100MbHD}, {3, f100MbFD}, {4, f1GbHD}, {5, f1GbFD},
	{6, fAutoneg}, {7, fCopper}, {10, fFiber},
	{12, f10GbFD}, {13, fPause}, {14, fPauseAsym},
	{17, f1GbFD},                                // 1000baseKX
	{18, f10GbFD}, {19, f10GbFD}, {20, f10GbFD}, // 10000baseKX4, KR, R_FEC
	{23, f40GbFD}, {24, f40GbFD}, {25, f40GbFD}, {26, f40GbFD}, // 40000baseKR4, CR4, SR4, LR4
}

func modes(mask uint32) uint32 {
	var f uint32
	for _, m := range linkModes {
		if mask>>m.bit&1 != 0 {
			f |= m.feature
		}
	}
	return f
}

// speeds maps a speed in Mbit/s to the features of half and full duplex.
var speeds = map[uint32][2]uint32{
	10: {f10MbHD, f10MbFD}, 100: {f100MbHD, f100MbFD}, 1000: {f1GbHD, f1GbFD},
	10000: {f10GbFD, f10GbFD}, 40000: {f40GbFD, f40GbFD},
	100000: {f100GbFD, f100GbFD}, 1000000: {f1TbFD, f1TbFD},
}

// linkFeatures asks ethtool; a link without an answer has no features.
func linkFeatures(name string) netdev.Features {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return netdev.Features{}
	}
	defer e.Close()
	var c ethtool.EthtoolCmd
	if _, err := e.CmdGet(&c, name); err != nil {
		return netdev.Features{}
	}
	f := netdev.Features{Supported: modes(c.Supported), Advertised: modes(c.Advertising)}
	duplex := 0
	if c.Duplex != 0 {
		duplex = 1
	}
	f.Current = speeds[uint32(c.Speed)|uint32(c.Speed_hi)<<16][duplex]
	switch c.Port {
	case 0: // PORT_TP
		f.Current |= fCopper
	case 3: // PORT_FIBRE
		f.Current |= fFiber
	}
	if c.Autoneg != 0 {
		f.Current |= fAutoneg
	}
	return f
}

// ask asks ethtool for something of a link.
func ask[T any](what, name string, fn func(*ethtool.Ethtool, string) (T, error)) (out T, err error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return out, fmt.Errorf("open ethtool: %w", err)
	}
	defer e.Close()
	if out, err = fn(e, name); err != nil {
		return out, fmt.Errorf("%s of %s: %w", what, name, err)
	}
	return out, nil
}

// driverInfo is what the Interface status column shows of the driver.
func driverInfo(name string) (map[string]string, error) {
	info, err := ask("driver", name, (*ethtool.Ethtool).DriverInfo)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"driver_name":      info.Driver,
		"driver_version":   info.Version,
		"firmware_version": info.FwVersion,
	}, nil
}

// Offloads returns ethtool's features of a link that are on, by name.
func Offloads(name string) (map[string]bool, error) {
	return ask("features", name, (*ethtool.Ethtool).Features)
}
