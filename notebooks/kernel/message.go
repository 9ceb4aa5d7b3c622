package kernel

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/pkg/errors"
)

// header identifies a message, [jupyter] "General message format".
type header struct {
	ID       string `json:"msg_id"`
	Session  string `json:"session"`
	Username string `json:"username"`
	Date     string `json:"date"`
	Type     string `json:"msg_type"`
	Version  string `json:"version"`
}

// message is one message of the protocol.
type message struct {
	Header  header
	Parent  header // of the request it answers
	Content json.RawMessage
}

var delimiter = []byte("<IDS|MSG>")

// newMessage returns a request of the given type.
func newMessage(session, msgType string, content any) (message, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return message{}, errors.WithStack(err)
	}
	return message{
		Header: header{
			ID: randomHex(16), Session: session, Username: "palimpsest",
			Date: time.Now().UTC().Format(time.RFC3339Nano), Type: msgType, Version: "5.3",
		},
		Content: body,
	}, nil
}

// encode returns m on the wire, signed with key.
func (m message) encode(key []byte) (zmq4.Msg, error) {
	head, err := json.Marshal(m.Header)
	if err != nil {
		return zmq4.Msg{}, errors.WithStack(err)
	}
	parts := [][]byte{head, []byte("{}"), []byte("{}"), m.Content} // header, parent, metadata, content
	return zmq4.NewMsgFrom(append([][]byte{delimiter, sign(key, parts)}, parts...)...), nil
}

// decode reads a message from the wire and checks its signature.
func decode(wire zmq4.Msg, key []byte) (message, error) {
	frames := wire.Frames
	// Before the delimiter stand routing identities or the topic.
	for len(frames) > 0 && !bytes.Equal(frames[0], delimiter) {
		frames = frames[1:]
	}
	if len(frames) < 6 {
		return message{}, errors.Errorf("a message of %d frames came from the kernel; need %q, a signature and four parts",
			len(wire.Frames), delimiter)
	}
	parts := frames[2:6]
	if !hmac.Equal(frames[1], sign(key, parts)) {
		return message{}, errors.New("a message came with a wrong signature")
	}
	m := message{Content: parts[3]}
	if err := json.Unmarshal(parts[0], &m.Header); err != nil {
		return message{}, errors.Wrap(err, "a message came with a malformed header")
	}
	if err := json.Unmarshal(parts[1], &m.Parent); err != nil {
		return message{}, errors.Wrap(err, "a message came with a malformed parent header")
	}
	return m, nil
}

// sign returns the HMAC-SHA256 of parts in hexadecimal.
func sign(key []byte, parts [][]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return []byte(hex.EncodeToString(mac.Sum(nil)))
}

// randomHex returns n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
