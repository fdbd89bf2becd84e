// A sandbox on two threads and clients that talk to it byte by byte, for the tests of this folder.
#ifndef SENDSTEP_TESTS_UNIT_PROVIDERS_SANDBOX_SUPPORT_H_
#define SENDSTEP_TESTS_UNIT_PROVIDERS_SANDBOX_SUPPORT_H_

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "providers/sandbox/server.h"

namespace sendstep::providers::sandbox {

namespace fs = std::filesystem;

inline std::string Base64(std::string_view text) {
  std::string encoded(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  encoded.resize(static_cast<size_t>(size));
  return encoded;
}

inline std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

inline std::vector<fs::path> FilesIn(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// A folder of its own, gone with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "sandbox-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Threads that run an io_context until Join().
class Threads {
 public:
  explicit Threads(int count) : work_(io_.get_executor()) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this] { io_.run(); });
  }
  ~Threads() { Join(); }
  // Returns once nothing is pending any more.
  void Join() {
    work_.reset();
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  asio::io_context& io() { return io_; }

 private:
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::thread> threads_;
};

// Blocking. Where the server closes, replies come back as "".
class Client {
 public:
  explicit Client(const SandboxEndpoint& endpoint) : endpoint_(endpoint), socket_(io_) {
    socket_.connect({asio::ip::make_address(endpoint.host), endpoint.port});
  }

  void Send(std::string_view bytes) {
    boost::system::error_code error;
    const auto buffer = asio::buffer(bytes.data(), bytes.size());
    tls_ ? asio::write(*tls_, buffer, error) : asio::write(socket_, buffer, error);
  }

  // The next reply, all its lines, without the last line break.
  std::string Reply() {
    std::string reply;
    for (;;) {
      const std::string line = ReadLine();
      if (line.empty()) return "";
      reply += line;
      if (line.size() < 4 || line[3] != '-') break;
    }
    reply.resize(reply.size() - 2);
    return reply;
  }

  std::string Ask(std::string_view line) {
    Send(std::string(line) + "\r\n");
    return Reply();
  }

  // The first bytes of each of the next replies, joined by blanks: "250 550 250".
  std::string Codes(size_t count, size_t bytes = 3) {
    std::string codes;
    for (size_t i = 0; i < count; ++i) {
      codes += (i > 0 ? " " : "") + Reply().substr(0, bytes);
    }
    return codes;
  }

  Client& Greet() {
    EXPECT_EQ(Reply().substr(0, 4), "220 ");
    EXPECT_EQ(Ask("EHLO client.example").substr(0, 4), "250-");
    return *this;
  }

  // Greets, then STARTTLS, verified as a careful client does, then EHLO.
  Client& GreetTls() {
    Greet();
    EXPECT_EQ(Ask("STARTTLS").substr(0, 3), "220");
    EXPECT_FALSE(Handshake(endpoint_.ca_pem, endpoint_.host));
    ehlo_ = Ask("EHLO client.example");
    return *this;
  }
  const std::string& ehlo() const { return ehlo_; }

  boost::system::error_code Handshake(const std::string& ca_pem, const std::string& name) {
    context_.add_certificate_authority(asio::buffer(ca_pem));
    tls_.emplace(socket_, context_);
    tls_->set_verify_mode(asio::ssl::verify_peer);
    tls_->set_verify_callback(asio::ssl::host_name_verification(name));
    boost::system::error_code error;
    tls_->handshake(asio::ssl::stream_base::client, error);
    return error;
  }
  SSL* ssl() { return tls_->native_handle(); }

  // MAIL and RCPTs, each accepted.
  void Envelope(std::string_view sender, std::initializer_list<std::string_view> recipients) {
    EXPECT_EQ(Ask("MAIL FROM:<" + std::string(sender) + ">").substr(0, 9), "250 2.1.0");
    for (std::string_view recipient : recipients) {
      EXPECT_EQ(Ask("RCPT TO:<" + std::string(recipient) + ">").substr(0, 9), "250 2.1.5");
    }
  }

  // DATA with `content`, which is stuffed and ends with CRLF; the reply to its end.
  std::string Data(std::string_view content) {
    EXPECT_EQ(Ask("DATA").substr(0, 3), "354");
    return Ask(std::string(content) + ".");
  }

  bool Closed() { return ReadLine().empty(); }
  asio::ip::tcp::socket& socket() { return socket_; }

 private:
  std::string ReadLine() {
    size_t end;
    while ((end = input_.find('\n')) == std::string::npos) {
      char bytes[4096];
      boost::system::error_code error;
      const size_t size = tls_ ? tls_->read_some(asio::buffer(bytes), error)
                               : socket_.read_some(asio::buffer(bytes), error);
      if (error) return "";
      input_.append(bytes, size);
    }
    const std::string line = input_.substr(0, end + 1);
    input_.erase(0, end + 1);
    return line;
  }

  const SandboxEndpoint endpoint_;
  asio::io_context io_;
  asio::ip::tcp::socket socket_;
  asio::ssl::context context_{asio::ssl::context::tls_client};
  std::optional<asio::ssl::stream<asio::ip::tcp::socket&>> tls_;
  std::string input_;
  std::string ehlo_;
};

// A server with `options`, on two threads.
class RunningServer {
 public:
  explicit RunningServer(const Options& options = {}) : threads_(2) {
    auto started = Server::Start(threads_.io().get_executor(), folder_.path() / "mail", options);
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }
  ~RunningServer() { StopAndJoin(); }

  void StopAndJoin() {
    server_->Stop();
    threads_.Join();
  }
  Server& server() { return *server_; }
  const SandboxEndpoint& endpoint() const { return server_->endpoint(); }
  fs::path folder(std::string_view name) const { return server_->maildir() / name; }

  // The one message that was kept.
  std::string OnlyMessage() const {
    const std::vector<fs::path> files = FilesIn(folder("new"));
    EXPECT_EQ(files.size(), 1u);
    return files.size() == 1 ? ReadFile(files[0]) : "";
  }
  // The same, without the sandbox's own headers.
  std::string OnlyContent() const {
    const std::string message = OnlyMessage();
    const size_t received = message.find("\r\nReceived: ");
    const size_t end = message.find(" +0000\r\n", received);
    return end == std::string::npos ? "" : message.substr(end + 8);
  }

 private:
  TemporaryFolder folder_;
  Threads threads_;
  std::shared_ptr<Server> server_;
};

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_TESTS_UNIT_PROVIDERS_SANDBOX_SUPPORT_H_
