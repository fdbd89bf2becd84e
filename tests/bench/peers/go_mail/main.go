// A Send Email server of go-mail (16 clients whose connections stay open) and grpc-go: answers
// Execute of the contract by sending the email. Prints "listening ADDRESS". Ends on SIGTERM.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"math"
	"net"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "peer/sendstepv1"
)

const connections = 16

// pool hands out clients, each for one message at a time. A nil one has yet to be made.
type pool chan *mail.Client

type server struct {
	v1.UnimplementedEmailActionServer
	mutex sync.Mutex
	pools map[string]pool
}

func (s *server) poolOf(smtp *v1.SmtpConfig) pool {
	key := fmt.Sprint(smtp.Host, " ", smtp.GetPort(), " ", smtp.Tls, " ", smtp.Domain)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	clients, found := s.pools[key]
	if !found {
		clients = make(pool, connections)
		for i := 0; i < connections; i++ {
			clients <- nil
		}
		s.pools[key] = clients
	}
	return clients
}

func dial(ctx context.Context, smtp *v1.SmtpConfig) (*mail.Client, error) {
	config := &tls.Config{ServerName: smtp.Host, InsecureSkipVerify: smtp.InsecureSkipVerify}
	if smtp.CaPem != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(smtp.CaPem))
	}
	options := []mail.Option{mail.WithPort(int(smtp.GetPort())), mail.WithHELO(smtp.Domain),
		mail.WithoutNoop(), mail.WithTLSConfig(config)}
	switch smtp.Tls {
	case v1.TlsMode_TLS_MODE_OFF:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	case v1.TlsMode_TLS_MODE_IMPLICIT:
		options = append(options, mail.WithSSL())
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	client, err := mail.NewClient(smtp.Host, options...)
	if err != nil {
		return nil, err
	}
	return client, client.DialWithContext(ctx)
}

func messageOf(email *v1.Email) (*mail.Msg, error) {
	message := mail.NewMsg()
	if err := message.FromFormat(email.From.Name, email.From.Email); err != nil {
		return nil, err
	}
	for _, to := range email.To {
		if err := message.AddToFormat(to.Name, to.Email); err != nil {
			return nil, err
		}
	}
	message.Subject(email.Subject)
	message.SetMessageID()
	message.SetDate()
	if email.Text != "" {
		message.SetBodyString(mail.TypeTextPlain, email.Text)
	}
	if email.Html != "" {
		message.AddAlternativeString(mail.TypeTextHTML, email.Html)
	}
	for _, a := range email.Attachments {
		err := message.AttachReader(a.Filename, bytes.NewReader(a.Content),
			mail.WithFileContentType(mail.ContentType(a.ContentType)))
		if err != nil {
			return nil, err
		}
	}
	return message, nil
}

func send(ctx context.Context, clients pool, smtp *v1.SmtpConfig, message *mail.Msg) error {
	var client *mail.Client
	select {
	case client = <-clients:
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	if client == nil {
		client, err = dial(ctx, smtp)
	}
	if err == nil {
		err = client.Send(message)
	}
	if err != nil && client != nil {
		_ = client.Close()
		client = nil
	}
	clients <- client
	return err
}

func (s *server) Execute(ctx context.Context, request *v1.ExecuteRequest) (
	*v1.ExecuteResponse, error) {
	smtp, email := request.Config.GetSmtp(), request.Email
	message, err := messageOf(email)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := send(ctx, s.poolOf(smtp), smtp, message); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	response := &v1.ExecuteResponse{
		Outcome:    v1.Outcome_OUTCOME_SENT,
		RequestId:  request.RequestId,
		Dedupe:     v1.Dedupe_DEDUPE_NONE,
		MessageId:  message.GetMessageID(),
		FromUsed:   email.From,
		FinalReply: &v1.SmtpReply{Code: 250},
		AcceptedAt: timestamppb.New(time.Now()),
	}
	for _, to := range email.To {
		response.Recipients = append(response.Recipients, &v1.RecipientResult{
			Email: to.Email, Status: v1.RecipientStatus_RECIPIENT_STATUS_ACCEPTED,
			Reply: &v1.SmtpReply{Code: 250}})
	}
	return response, nil
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening", listener.Addr())
	grpcServer := grpc.NewServer(grpc.MaxRecvMsgSize(math.MaxInt32))
	v1.RegisterEmailActionServer(grpcServer, &server{pools: map[string]pool{}})
	log.Fatal(grpcServer.Serve(listener))
}
