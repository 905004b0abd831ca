package flopynet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// datapathID names a switch. Controllers write it as a number, in 16 hexadecimal digits, after 0x, or in decimal; in the tag
// dpid and in ovs-<dpid> it is decimal, and in JSON it has 16 hexadecimal digits.
type datapathID uint64

const datapathDigits = 16

// String is the decimal form.
func (d datapathID) String() string { return strconv.FormatUint(uint64(d), 10) }

// hex is the form with 16 hexadecimal digits.
func (d datapathID) hex() string { return fmt.Sprintf("%016x", uint64(d)) }

// MarshalText implements encoding.TextMarshaler.
func (d datapathID) MarshalText() ([]byte, error) { return []byte(d.hex()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Digits alone are hexadecimal when they are 16, else decimal.
func (d *datapathID) UnmarshalText(text []byte) error {
	value, err := parseID(strings.ReplaceAll(string(text), ":", ""), datapathDigits, 64)
	if err != nil || value == 0 {
		return fmt.Errorf("%q is no datapath id", text)
	}
	*d = datapathID(value)
	return nil
}

// UnmarshalJSON implements json.Unmarshaler. A number is decimal, however many digits it has.
func (d *datapathID) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		return d.UnmarshalText(unquote(raw))
	}
	value, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil || value == 0 {
		return fmt.Errorf("%q is no datapath id", raw)
	}
	*d = datapathID(value)
	return nil
}

// portNumber names a port of a switch. It is decimal in the tag port, but for the switch's own, which is LOCAL.
type portNumber uint32

// localPort is the switch's own port (OFPP_LOCAL).
const localPort portNumber = 0xfffffffe

const portDigits = 8

// String is the decimal form, or LOCAL.
func (p portNumber) String() string {
	if p == localPort {
		return "LOCAL"
	}
	return strconv.FormatUint(uint64(p), 10)
}

// MarshalText implements encoding.TextMarshaler.
func (p portNumber) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%08x", uint32(p)), nil }

// MarshalJSON implements json.Marshaler.
func (p portNumber) MarshalJSON() ([]byte, error) { return strconv.AppendUint(nil, uint64(p), 10), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Digits alone are hexadecimal when they are 8, else decimal.
func (p *portNumber) UnmarshalText(text []byte) error {
	if strings.EqualFold(string(text), "LOCAL") {
		*p = localPort
		return nil
	}
	value, err := parseID(string(text), portDigits, 32)
	if err != nil {
		return fmt.Errorf("%q is no port number", text)
	}
	*p = portNumber(value)
	return nil
}

// UnmarshalJSON implements json.Unmarshaler. A number is decimal, however many digits it has.
func (p *portNumber) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		return p.UnmarshalText(unquote(raw))
	}
	value, err := strconv.ParseUint(string(raw), 10, 32)
	if err != nil {
		return fmt.Errorf("%q is no port number", raw)
	}
	*p = portNumber(value)
	return nil
}

// unquote is the string that a JSON text is, or the text itself, without white space around.
func unquote(raw []byte) []byte {
	var t text
	_ = t.UnmarshalJSON(raw) // it never fails
	return []byte(strings.TrimSpace(string(t)))
}

// parseID reads a number: after 0x, with letters or of so many digits it is hexadecimal, else decimal.
func parseID(text string, hexDigits, bits int) (uint64, error) {
	lower := strings.ToLower(text)
	if digits, found := strings.CutPrefix(lower, "0x"); found {
		return strconv.ParseUint(digits, 16, bits)
	}
	if len(lower) == hexDigits || strings.ContainsAny(lower, "abcdef") {
		return strconv.ParseUint(lower, 16, bits)
	}
	return strconv.ParseUint(lower, 10, bits)
}

// counter is a count of an answer; notTold where there is none, or the switch doesn't count such: OpenFlow says so with all
// bits set.
type counter int64

const notTold counter = -1

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (c *counter) UnmarshalJSON(raw []byte) error {
	*c = notTold
	if value, err := strconv.ParseInt(string(unquote(raw)), 10, 64); err == nil {
		*c = counter(max(value, int64(notTold)))
		return nil
	} else if errors.Is(err, strconv.ErrRange) {
		return nil
	}
	var n number
	_ = n.UnmarshalJSON(raw) // it never fails
	if n.known && n.value >= 0 && n.value < math.MaxInt64 {
		*c = counter(n.value)
	}
	return nil
}

// amount is the count, 0 where it wasn't told.
func (c counter) amount() int64 { return max(0, int64(c)) }

// attachment is a port of a switch that something is attached to.
type attachment struct {
	Switch datapathID `json:"dpid"`
	Port   portNumber `json:"port_no"`
}

// maxAddresses is how many addresses of a host are kept.
const maxAddresses = 8

// parseAddresses reads a host's addresses: strings, or objects with an address. What is none is left out.
func parseAddresses(raw json.RawMessage) []netip.Addr {
	var all []netip.Addr
	read := 0
	_ = eachElement(orNull(raw), func(element json.RawMessage) error { // what is no array has none
		var wrapped struct {
			Address text `json:"address"`
		}
		written := string(unquote(element))
		if json.Unmarshal(element, &wrapped) == nil && wrapped.Address != "" {
			written = string(wrapped.Address)
		}
		if address, err := netip.ParseAddr(written); err == nil && address.Zone() == "" && !address.IsUnspecified() {
			all = append(all, address.Unmap())
		}
		if read++; read == maxAddresses {
			return errEnough
		}
		return nil
	})
	return all
}

// parseMAC returns the usual form of an Ethernet address, "" if it is none.
func parseMAC(written string) string {
	address, err := net.ParseMAC(written)
	if err != nil || len(address) != 6 {
		return ""
	}
	return address.String()
}
