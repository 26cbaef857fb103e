package xlate

import (
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/table"
)

// maxLivenessDepth limits chains of groups that watch groups.
const maxLivenessDepth = 128

// group applies a group; false: there is none with this id.
func (ctx *context) group(id uint32, last bool) bool {
	if !ctx.mayResubmit() {
		return true
	}
	g := ctx.bridge.Tables.Group(ctx.version, id)
	if g == nil {
		ctx.reportf(NodeWarn, "output to nonexistent group %d", id)
		return false
	}
	switch g.Type {
	case ofp.GroupTypeAll, ofp.GroupTypeIndirect:
		for i := range g.Buckets {
			ctx.groupBucket(&g.Buckets[i], last && i == len(g.Buckets)-1)
		}
		ctx.effect(Effect{Kind: EffectGroup, Group: g, Bucket: -1})
		return true
	}
	i := -1
	if g.Type == ofp.GroupTypeSelect {
		i = ctx.selectBucket(g)
	} else {
		i = ctx.firstLive(g, 0)
	}
	if i < 0 {
		ctx.report(NodeDetail, "no live bucket")
		return true
	}
	ctx.reportf(NodeDetail, "using bucket %d", g.Buckets[i].BucketID)
	ctx.groupBucket(&g.Buckets[i], last)
	ctx.effect(Effect{Kind: EffectGroup, Group: g, Bucket: int32(i)})
	return true
}

// groupBucket translates a bucket as if for a copy of the packet.
func (ctx *context) groupBucket(b *ofp.Bucket, last bool) {
	oldTrace := ctx.trace
	if ctx.trace != nil {
		ctx.nest(NodeBucket, func() string { return "bucket " + utoa(b.BucketID) })
	}
	oldFlow, oldMPLS := ctx.flow, ctx.wasMPLS
	ctx.depth++
	ctx.doActions(action.AppendSet(nil, b.Actions), last, true)
	ctx.depth--
	if ctx.freezing {
		ctx.finishFreezing()
	}
	ctx.flow, ctx.wasMPLS = oldFlow, oldMPLS
	// However the bucket ended, what follows the group goes on.
	ctx.exit = false
	if ctx.err == ErrTooManyMPLSLabels || ctx.err == ErrUnsupportedPacketType {
		ctx.err = OK // unlike the limits of the work, these are the bucket's own
	}
	ctx.trace = oldTrace
}

func (ctx *context) bucketAlive(g *table.Group, b *ofp.Bucket, depth int) bool {
	if depth >= maxLivenessDepth {
		ctx.errorf("bucket chaining exceeded %d links", maxLivenessDepth)
		return false
	}
	if g.Type == ofp.GroupTypeSelect && b.Weight == 0 {
		return false
	}
	if !b.HasLiveness() {
		return true
	}
	switch {
	case b.WatchPort == flow.OFPController:
		if ctx.bridge.HasController {
			return true
		}
	case b.WatchPort != flow.OFPNone:
		if p := ctx.bridge.Port(b.WatchPort); p != nil && p.MayEnable {
			return true
		}
	}
	if b.WatchGroup != ofp.GroupAny {
		if w := ctx.bridge.Tables.Group(ctx.version, b.WatchGroup); w != nil {
			return ctx.firstLive(w, depth+1) >= 0
		}
	}
	return false
}

// firstLive returns the first live bucket, -1: there is none.
func (ctx *context) firstLive(g *table.Group, depth int) int {
	for i := range g.Buckets {
		if ctx.bucketAlive(g, &g.Buckets[i], depth) {
			return i
		}
		ctx.reportNotLive(&g.Buckets[i])
	}
	return -1
}

func (ctx *context) reportNotLive(b *ofp.Bucket) {
	if ctx.trace == nil {
		return
	}
	why := ""
	if b.WatchPort != flow.OFPNone {
		why = "port " + portText(b.WatchPort)
	}
	if b.WatchGroup != ofp.GroupAny {
		if why != "" {
			why += " and "
		}
		why += "port " + utoa(b.WatchGroup)
	}
	ctx.report(NodeDetail, "bucket "+utoa(b.BucketID)+": not live due to "+why)
}

// bestLive returns the live bucket with the highest score, which comes from the
// hash of bucket and flow, and the weight.
func (ctx *context) bestLive(g *table.Group, basis uint32) int {
	best, bestScore := -1, uint32(0)
	for i := range g.Buckets {
		b := &g.Buckets[i]
		if !ctx.bucketAlive(g, b, 0) {
			ctx.reportNotLive(b)
			continue
		}
		score := flow.HashInt(b.BucketID, basis) & 0xffff * uint32(b.Weight)
		if score >= bestScore {
			best, bestScore = i, score
		}
		if ctx.trace != nil {
			ctx.reportf(NodeDetail, "bucket %d: score %d", b.BucketID, score)
		}
	}
	return best
}

// selectBucket chooses a bucket of a select group; -1: none is live, or the
// choice has to wait for the datapath.
func (ctx *context) selectBucket(g *table.Group) int {
	if ctx.wasMPLS {
		ctx.freeze()
		return -1
	}
	s := selectionOf(g)
	switch s.method {
	case selectHashFields:
		return ctx.selectByFields(g)
	case selectDPHash:
		return ctx.selectByDPHash(g, s)
	}
	maskHashFields(&ctx.flow, ctx.wc, action.HashSymmetricL4)
	return ctx.bestLive(g, ctx.flow.HashSymmetricL4(0))
}

func (ctx *context) selectByFields(g *table.Group) int {
	basis := flow.HashUint64(g.Props.SelectionMethodParam, 0)
	tab := ctx.bridge.TunTable
	for _, fm := range g.Props.Fields {
		if !field.PrereqsOK(&ctx.flow, fm.ID, ctx.wc) {
			continue
		}
		var v, m field.Value
		field.Read(&ctx.flow, fm.ID, tab, &v)
		n := int(field.Get(fm.ID).Size)
		copy(m[max(0, n-len(fm.Value)):n], fm.Value)
		for i := range n {
			v[i] &= m[i]
		}
		basis = flow.HashBytes(v[:n], basis)
		if fm.ID.IsTunMetadata() {
			present := uint32(0)
			if field.IsSet(&ctx.flow, fm.ID) {
				present = 1
			}
			basis = flow.HashInt(present, basis)
		}
		field.AddMask(ctx.wc, fm.ID, tab, &m)
	}
	return ctx.bestLive(g, basis)
}

func (ctx *context) selectByDPHash(g *table.Group, s *selection) int {
	h := ctx.flow.DPHash
	if h == 0 {
		// Computed hashes are never zero: the datapath has yet to compute it.
		arg := s.hash
		if int(arg.Alg) > ctx.bridge.Support.MaxHashAlg {
			arg.Alg = 0
		}
		ctx.freezeForHash(arg)
		return -1
	}
	mask := uint32(len(s.buckets) - 1)
	ctx.wc.DPHash |= mask
	// Neighbouring values belong to other buckets, so trying the next one when a
	// bucket is down keeps the distribution by weight.
	for i := range uint32(len(s.buckets)) {
		if b := int(s.buckets[(h+i)&mask]); ctx.bucketAlive(g, &g.Buckets[b], 0) {
			return b
		}
	}
	return -1
}

type selectMethod uint8

const (
	selectDefault selectMethod = iota
	selectHashFields
	selectDPHash
)

// selection is how a select group chooses, computed once a group.
type selection struct {
	method  selectMethod
	hash    odp.HashArg
	buckets []uint16 // bucket by masked hash; a power of two of them
}

// maxHashValues is the largest table from hash to bucket.
const maxHashValues = 256

func selectionOf(g *table.Group) *selection {
	if s, ok := g.Aux.Load().(*selection); ok {
		return s
	}
	return PrepareGroup(g)
}

var groupLog = vlog.New("ofproto_dpif")

// PrepareGroup works out how a select group chooses, and logs it for debugging.
func PrepareGroup(g *table.Group) *selection {
	groupLog.Dbg("Constructing select group %d", g.ID)
	s := &selection{}
	switch g.Props.SelectionMethod {
	case "":
		groupLog.Dbg("No selection method specified. Trying dp_hash.")
		if s.buckets = websterTable(g.Buckets, maxHashValues); s.buckets == nil {
			groupLog.Dbg("Falling back to default hash method.")
			break
		}
		s.method, s.hash = selectDPHash, odp.HashArg{Alg: 1} // symmetric L4
		groupLog.Dbg("Use dp_hash with %d hash values using algorithm %d.", len(s.buckets), s.hash.Alg)
	case "dp_hash":
		groupLog.Dbg("Selection method specified: dp_hash.")
		if s.buckets = websterTable(g.Buckets, 0); s.buckets == nil {
			groupLog.Dbg("Falling back to default hash method.")
			break
		}
		s.method = selectDPHash
		s.hash = odp.HashArg{Alg: uint32(g.Props.SelectionMethodParam >> 32), Basis: uint32(g.Props.SelectionMethodParam)}
		if s.hash.Alg > 1 {
			groupLog.Dbg("Invalid dp_hash algorithm %d. Defaulting to OVS_HASH_ALG_L4", s.hash.Alg)
			s.hash.Alg = 0
		}
		groupLog.Dbg("Use dp_hash with %d hash values using algorithm %d.", len(s.buckets), s.hash.Alg)
	case "hash":
		groupLog.Dbg("Selection method specified: hash.")
		if len(g.Props.Fields) == 0 {
			groupLog.Dbg("No hash fields. Falling back to default hash method.")
			break
		}
		s.method = selectHashFields
		groupLog.Dbg("Hash fields: %s", g.Props.Fields.AppendText(nil))
	}
	g.Aux.Store(s)
	return s
}

// websterTable distributes hash values over buckets by weight, with the method of
// Webster (as seats in a parliament); nil: it would need more than limit values,
// or no bucket has any weight.
func websterTable(buckets []ofp.Bucket, limit int) []uint16 {
	if len(buckets) == 0 {
		groupLog.Dbg("  Don't apply dp_hash method without buckets.")
		return nil
	}
	total, lowest := uint64(0), uint64(0)
	for i := range buckets {
		w := uint64(buckets[i].Weight)
		total += w
		if w > 0 && (lowest == 0 || w < lowest) {
			lowest = w
		}
	}
	if total == 0 {
		groupLog.Dbg("  Total weight is zero. No active buckets.")
		return nil
	}
	groupLog.Dbg("  Minimum weight: %d, total weight: %d", lowest, total)
	slots := (total + lowest - 1) / lowest
	n := uint64(16)
	for n < slots {
		n *= 2
	}
	if n > maxHashValues || limit != 0 && n > uint64(limit) {
		groupLog.Dbg("  Too many hash values required: %d", n)
		return nil
	}
	groupLog.Dbg("  Using %d hash values:", n)
	hits := make([]int, len(buckets))
	divisor := make([]float64, len(buckets))
	for i := range divisor {
		divisor[i] = 1
	}
	out := make([]uint16, n)
	for h := range out {
		winner := 0
		for i := range buckets {
			if float64(buckets[i].Weight)/divisor[i] > float64(buckets[winner].Weight)/divisor[winner] {
				winner = i
			}
		}
		divisor[winner] += 2
		hits[winner]++
		out[h] = uint16(winner)
	}
	for i := range buckets {
		b := &buckets[i]
		groupLog.Dbg("  Bucket %d: weight=%d, target=%.2f hits=%d", b.BucketID, b.Weight,
			float64(n*uint64(b.Weight))/float64(total), hits[i])
	}
	return out
}
