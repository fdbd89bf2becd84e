// Reads a message from stdin and prints what Go's net/mail, mime and mime/multipart make of it.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"os"
	"strings"
)

type file struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Sha256 string `json:"sha256"`
}

type parsed struct {
	Subject string      `json:"subject"`
	From    [][2]string `json:"from"`
	To      [][2]string `json:"to"`
	Cc      [][2]string `json:"cc"`
	Text    string      `json:"text"`
	Html    string      `json:"html"`
	Files   []file      `json:"files"`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func boxes(header mail.Header, name string) [][2]string {
	list := [][2]string{}
	if header.Get(name) == "" {
		return list
	}
	addresses, err := header.AddressList(name)
	must(err)
	for _, address := range addresses {
		list = append(list, [2]string{address.Name, address.Address})
	}
	return list
}

func decoded(header textproto.MIMEHeader, body io.Reader) []byte {
	switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	bytes, err := io.ReadAll(body)
	must(err)
	return bytes
}

func (p *parsed) part(header textproto.MIMEHeader, body io.Reader) {
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	must(err)
	if strings.HasPrefix(kind, "multipart/") {
		reader := multipart.NewReader(body, parameters["boundary"])
		for {
			// Raw: else it decodes quoted-printable by itself.
			part, err := reader.NextRawPart()
			if err == io.EOF {
				return
			}
			must(err)
			p.part(part.Header, part)
		}
	}
	content := decoded(header, body)
	disposition, names, _ := mime.ParseMediaType(header.Get("Content-Disposition"))
	switch {
	case disposition == "" && kind == "text/plain":
		p.Text = string(content)
	case disposition == "" && kind == "text/html":
		p.Html = string(content)
	default:
		hash := sha256.Sum256(content)
		p.Files = append(p.Files, file{kind, names["filename"], hex.EncodeToString(hash[:])})
	}
}

func main() {
	message, err := mail.ReadMessage(os.Stdin)
	must(err)
	subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	must(err)
	p := parsed{Subject: subject, Files: []file{}}
	p.From, p.To, p.Cc = boxes(message.Header, "From"), boxes(message.Header, "To"), boxes(message.Header, "Cc")
	p.part(textproto.MIMEHeader(message.Header), message.Body)
	must(json.NewEncoder(os.Stdout).Encode(p))
}
