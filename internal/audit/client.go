package audit

import (
	"bytes"
	"encoding/binary"
)

// clients remembers what stands in events between the verb and the resource: the
// user, its addresses and its agent, which are the same in all that a client
// asks for. What was looked through once is only compared from then on. It is
// bounded: each of them has one place, and the last one stays there.
type clients [64][]byte

// maxClient bounds one of them, in bytes.
const maxClient = 2048

// place is where a client that begins here would be.
func (c *clients) place(b []byte) *[]byte {
	const from = len(`,"user":{"username":"system:`) // behind which names begin to differ
	if len(b) < from+32 {
		return &c[0]
	}
	hash := uint64(0)
	for at := from; at < from+32; at += 8 {
		hash = (hash ^ binary.LittleEndian.Uint64(b[at:])) * 0x9e3779b97f4a7c15
	}
	return &c[hash>>58]
}

// known is how long the client is that begins here, or 0.
func (c *clients) known(b []byte) int {
	if client := *c.place(b); bytes.HasPrefix(b, client) {
		return len(client)
	}
	return 0
}

// learn takes a client that holds nothing of interest.
func (c *clients) learn(client []byte) {
	if len(client) <= maxClient {
		place := c.place(client)
		*place = append((*place)[:0], client...)
	}
}

// What stands between an object's reference and the time of an event without a
// body: the code has three digits.
const (
	beforeCode = `},"responseStatus":{"metadata":{},"code":`
	afterCode  = `},"requestReceivedTimestamp":"`
	afterTime  = `","stageTimestamp":"`

	codeAt  = len(beforeCode)
	timeAt  = codeAt + len("200") + len(afterCode)
	stageAt = timeAt + len("2006-01-02T15:04:05.000000Z") + len(afterTime)
)

// bodiless takes the rest of an event without a body, from its resource on:
// where in it the stage's time begins, or -1. A bracket within a text of the
// reference does not end it: a quote would stand behind it, and end the text.
func bodiless(b []byte) int {
	end := bytes.IndexByte(b, '}')
	if end < 0 || len(b) < end+stageAt {
		return -1
	}
	b = b[end : end+stageAt]
	if string(b[:codeAt]) != beforeCode || string(b[codeAt+3:timeAt]) != afterCode || string(b[stageAt-len(afterTime):]) != afterTime {
		return -1
	}
	if _, ok := digits(b[codeAt : codeAt+3]); !ok || bytes.IndexByte(b[timeAt:], '"') != stageAt-len(afterTime)-timeAt {
		return -1
	}
	return end + stageAt
}
