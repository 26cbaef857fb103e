package odp

import (
	"fmt"
	"strings"
)

// Keys and actions are parsed in two steps: their text into a tree of nodes, the
// nodes by the tables of items.go.

// node is name, name=value, or name(kid,kid…).
type node struct {
	name  string
	value string // after '='
	group bool   // has parentheses
	at    int    // where in the text it begins
	kids  []node
}

// maxNesting bounds the nesting of parentheses in text.
const maxNesting = 32

// parseNodes parses a whole list; elements are separated by commas or white space.
// With an error, at is where the element begins that it is in.
func parseNodes(s string) (list []node, at int, err error) {
	p := nodeParser{s: s}
	list, err = p.list(0)
	if err == nil && p.i < len(p.s) {
		p.at = p.i
		err = p.errorf("unbalanced parenthesis")
	}
	return list, p.at, err
}

type nodeParser struct {
	s  string
	i  int
	at int // where the outermost element begins
}

func (p *nodeParser) errorf(what string) error {
	rest := p.s[p.i:]
	if len(rest) > 20 {
		rest = rest[:20]
	}
	return fmt.Errorf("syntax error at %q: %s", rest, what)
}

func (p *nodeParser) list(depth int) ([]node, error) {
	if depth > maxNesting {
		return nil, p.errorf("nested too deeply")
	}
	var out []node
	for {
		for p.i < len(p.s) && strings.IndexByte(", \t\r\n", p.s[p.i]) >= 0 {
			p.i++
		}
		if p.i == len(p.s) || p.s[p.i] == ')' {
			return out, nil
		}
		if depth == 0 {
			p.at = p.i
		}
		n, err := p.node(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
}

func (p *nodeParser) node(depth int) (node, error) {
	n := node{at: p.i}
	n.name = p.token("=(,) \t\r\n")
	if p.i < len(p.s) && p.s[p.i] == '=' {
		p.i++
		// White space may stand in front of a value: stock reads numbers so.
		for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
			p.i++
		}
		n.value = p.token("(,) \t\r\n")
	}
	if p.i < len(p.s) && p.s[p.i] == '(' {
		p.i++
		kids, err := p.list(depth + 1)
		if err != nil {
			return n, err
		}
		if p.i == len(p.s) {
			return n, p.errorf("missing )")
		}
		p.i++
		n.group, n.kids = true, kids
	}
	if n.name == "" && !n.group {
		return n, p.errorf("name expected")
	}
	return n, nil
}

// token reads up to one of the stop characters; what stands in braces is taken
// whole.
func (p *nodeParser) token(stop string) string {
	start, braces := p.i, 0
	for p.i < len(p.s) {
		c := p.s[p.i]
		switch {
		case c == '{':
			braces++
		case c == '}':
			braces--
		case braces <= 0 && strings.IndexByte(stop, c) >= 0:
			return p.s[start:p.i]
		}
		p.i++
	}
	return p.s[start:]
}

// kid returns the first kid of that name.
func (n *node) kid(name string) *node {
	for i := range n.kids {
		if n.kids[i].name == name {
			return &n.kids[i]
		}
	}
	return nil
}
