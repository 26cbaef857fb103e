package stream

import (
	"crypto/tls"
	"slices"
	"strings"
)

// cipher is a suite under OpenSSL's name, with the words that select it.
type cipher struct {
	name  string
	id    uint16
	words string
}

// ciphers are the suites for TLS 1.2 and older that Go has, best first.
// TLS 1.3's cannot be chosen, neither here nor by OpenSSL's list.
var ciphers = []cipher{
	{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "HIGH ECDHE EECDH aECDSA ECDSA AES AES256 AESGCM SHA384"},
	{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "HIGH ECDHE EECDH aRSA AES AES256 AESGCM SHA384"},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "HIGH ECDHE EECDH aECDSA ECDSA CHACHA20"},
	{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "HIGH ECDHE EECDH aRSA CHACHA20"},
	{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "HIGH ECDHE EECDH aECDSA ECDSA AES AES128 AESGCM SHA256"},
	{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "HIGH ECDHE EECDH aRSA AES AES128 AESGCM SHA256"},
	{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, "HIGH ECDHE EECDH aECDSA ECDSA AES AES128 SHA256"},
	{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, "HIGH ECDHE EECDH aRSA AES AES128 SHA256"},
	{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "HIGH ECDHE EECDH aECDSA ECDSA AES AES256 SHA SHA1"},
	{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "HIGH ECDHE EECDH aRSA AES AES256 SHA SHA1"},
	{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "HIGH ECDHE EECDH aECDSA ECDSA AES AES128 SHA SHA1"},
	{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "HIGH ECDHE EECDH aRSA AES AES128 SHA SHA1"},
	{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "HIGH kRSA RSA aRSA AES AES256 AESGCM SHA384"},
	{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, "HIGH kRSA RSA aRSA AES AES128 AESGCM SHA256"},
	{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256, "HIGH kRSA RSA aRSA AES AES128 SHA256"},
	{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA, "HIGH kRSA RSA aRSA AES AES256 SHA SHA1"},
	{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA, "HIGH kRSA RSA aRSA AES AES128 SHA SHA1"},
}

// cipherSuites turns a list in OpenSSL's language into Go's suites; an empty
// list, or one that selects nothing, is Go's default.
func cipherSuites(list string) []uint16 {
	var chosen, banned []uint16
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		op := word[0]
		if op == '!' || op == '-' || op == '+' {
			word = word[1:]
		} else {
			op = 0
		}
		for _, id := range selectCiphers(word) {
			switch {
			case op == '!' || op == '-':
				chosen = slices.DeleteFunc(chosen, func(c uint16) bool { return c == id })
				if op == '!' {
					banned = append(banned, id)
				}
			case op == '+':
				// Only the order changes, which Go chooses itself.
			case !slices.Contains(chosen, id) && !slices.Contains(banned, id):
				chosen = append(chosen, id)
			}
		}
	}
	if list != "" && len(chosen) == 0 {
		sslLog.ErrRL(sslRL, "SSL_CTX_set_cipher_list: no cipher match")
		return nil
	}
	return chosen
}

// selectCiphers returns the suites that all words joined by "+" select.
func selectCiphers(word string) []uint16 {
	var ids []uint16
	for _, c := range ciphers {
		all := true
		for _, w := range strings.Split(word, "+") {
			all = all && (w == c.name || w == "ALL" || w == "DEFAULT" || slices.Contains(strings.Fields(c.words), w))
		}
		if all {
			ids = append(ids, c.id)
		}
	}
	return ids
}
