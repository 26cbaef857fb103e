package userspace

import (
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// defaultInvProb: one of so many classifier hits goes into the EMC.
const defaultInvProb = 100

// settings are the keys of other_config that the datapath follows.
type settings struct {
	cpuMask    string
	emcMin     uint32
	smc        bool
	assign     string
	isolate    bool
	maxSleepUs int64 // -1: not set
	perf       bool
	txFlush    int
	alb        albSettings
	offload    int  // threads that offload flows; 0: nobody does
	logged     bool // the sleep setting was logged once
}

func defaultSettings() settings {
	return settings{emcMin: math.MaxUint32 / defaultInvProb, assign: assignCycles, isolate: true, maxSleepUs: -1}
}

func boolKey(m map[string]string, key string, def bool) bool {
	switch strings.ToLower(m[key]) {
	case "true":
		return true
	case "false":
		return false
	}
	return def
}

// maxSleepLimit is the longest pmd-maxsleep, in µs.
const maxSleepLimit = 10000

// SetConfig implements dpif.Dpif.
func (d *Dpif) SetConfig(m map[string]string) {
	old := d.cfg
	s := old
	s.cpuMask = m["pmd-cpu-mask"]
	s.setEMC(m)
	s.perf = boolKey(m, "pmd-perf-metrics", false)
	s.smc = boolKey(m, "smc-enable", false)
	s.setTxFlush(m)
	s.setAssign(m)
	s.setSleep(m)
	s.alb.set(m)
	s.setOffload(m)
	if s.offload != 0 {
		d.offload.start(s.offload)
	}
	s.logged = true
	d.cfg = s
	s.log(&old)
	if s.cpuMask != old.cpuMask || s.assign != old.assign || s.isolate != old.isolate {
		d.pending = true
	} else if s.emcMin != old.emcMin || s.smc != old.smc || s.perf != old.perf || s.maxSleepUs != old.maxSleepUs || s.txFlush != old.txFlush || s.alb.load != old.alb.load || s.offload != old.offload {
		cfg := d.newConfig()
		doAll(d.threads(), func(t *thread) { t.apply(cfg, t.polls, t.txID) })
		d.cur = cfg
	}
}

func (s *settings) setEMC(m map[string]string) {
	prob := uint64(defaultInvProb)
	if v, err := strconv.ParseUint(m["emc-insert-inv-prob"], 10, 64); err == nil {
		prob = v
	}
	switch {
	case prob > math.MaxUint32:
		s.emcMin = math.MaxUint32 / defaultInvProb
	case prob == 0:
		s.emcMin = 0
	default:
		s.emcMin = uint32(math.MaxUint32 / prob)
	}
}

func (s *settings) setAssign(m map[string]string) {
	switch a := m["pmd-rxq-assign"]; a {
	case assignCycles, assignRoundRobin, assignGroup:
		s.assign = a
	case "":
		s.assign = assignCycles
	default:
		log.Warn("Unsupported rx queue to PMD assignment mode in pmd-rxq-assign. Defaulting to 'cycles'.")
		s.assign = assignCycles
	}
	s.isolate = boolKey(m, "pmd-rxq-isolate", true)
	if s.assign != assignGroup && !s.isolate {
		log.Warn("pmd-rxq-isolate can only be set false when using pmd-rxq-assign=group")
		s.isolate = true
	}
}

// maxTxFlush is the longest tx-flush-interval, in µs.
const maxTxFlush = 1_000_000

func (s *settings) setTxFlush(m map[string]string) {
	us, _ := strconv.Atoi(m["tx-flush-interval"])
	if s.txFlush = 0; us > 0 && us <= maxTxFlush {
		s.txFlush = us
	}
}

// setOffload follows hw-offload, which once on stays on until the process restarts, as
// in stock.
func (s *settings) setOffload(m map[string]string) {
	if s.offload != 0 || !boolKey(m, "hw-offload", false) {
		return
	}
	s.offload = flowAPI.enable(m)
}

func (s *settings) setSleep(m map[string]string) {
	s.maxSleepUs = -1
	if v, err := strconv.ParseUint(m["pmd-maxsleep"], 10, 63); err == nil {
		s.maxSleepUs = int64(min(v, maxSleepLimit))
	}
}

// log tells what changed, in stock's words.
func (s *settings) log(old *settings) {
	if s.txFlush != old.txFlush {
		log.Info("Flushing interval for tx queues set to %d us", s.txFlush)
	}
	if s.emcMin != old.emcMin {
		if s.emcMin == 0 {
			log.Info("EMC insertion probability changed to zero")
		} else {
			prob := math.MaxUint32 / s.emcMin
			log.Info("EMC insertion probability changed to 1/%d (~%.2f%%)", prob, 100/float32(prob))
		}
	}
	if s.perf != old.perf {
		log.Info("PMD performance metrics collection %s", onOff(s.perf))
	}
	if s.smc != old.smc {
		log.Info("SMC cache is %s", onOff(s.smc))
	}
	if s.assign != old.assign {
		log.Info("Rxq to PMD assignment mode changed to: '%s'.", s.assign)
	}
	if s.isolate != old.isolate {
		if s.isolate {
			log.Info("pmd-rxq-affinity isolates PMD core")
		} else {
			log.Info("pmd-rxq-affinity does not isolate PMD core")
		}
	}
	s.alb.log(&old.alb)
	if us := max(s.maxSleepUs, 0); !old.logged || us != max(old.maxSleepUs, 0) {
		log.Info("PMD max sleep request is %d usecs.", us)
		log.Info("PMD load based sleeps are %s.", onOff(us != 0))
	}
}

func onOff(v bool) string {
	if v {
		return "enabled"
	}
	return "disabled"
}

// PortSetConfig implements dpif.Dpif.
func (d *Dpif) PortSetConfig(no uint32, m map[string]string) error {
	s := d.ports[no]
	if s == nil {
		return unix.ENODEV
	}
	if emc := boolKey(m, "emc-enable", true); emc != s.emc {
		s.emc = emc
		d.logPortEMC(s)
		s.refresh(d)
	}
	if hash := m["tx-steering"] == "hash"; hash != s.txHash {
		s.txHash = hash
		mode := "thread"
		if hash {
			mode = "hash"
		}
		log.Info("%s: Tx packet steering mode has been set to '%s'.", s.name, mode)
		s.reconfigure, d.pending = true, true
	}
	if affinity := m["pmd-rxq-affinity"]; s.dev.IsPMD() && affinity != s.affinity {
		cores, err := parseAffinity(affinity)
		if err != nil {
			return err
		}
		s.affinity, s.cores = affinity, cores
		s.refresh(d)
	}
	return nil
}

// refresh makes the threads see the port's changed settings.
func (s *portState) refresh(d *Dpif) {
	p := *s.port
	p.rxqs = nil
	for _, q := range s.port.rxqs {
		p.rxqs = append(p.rxqs, newRxq(&p, q.q, s.cores))
	}
	p.noEMC = !s.emc
	s.port = &p
	d.pending = true
}

func (d *Dpif) logPortEMC(s *portState) {
	if !s.emc {
		log.Info("%s: EMC has been disabled.", s.name)
		return
	}
	prob := "zero."
	if limit := d.cfg.emcMin; limit != 0 {
		n := math.MaxUint32 / limit
		prob = "1/" + strconv.FormatUint(uint64(n), 10) + " (~" + strconv.FormatFloat(float64(100/float32(n)), 'f', 2, 32) + "%)."
	}
	log.Info("%s: EMC has been enabled. Current insertion probability is %s", s.name, prob)
}
