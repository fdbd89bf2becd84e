#include "plugin/server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "plugin/logging.h"
#include "protos/sendstep/v1/email_action.grpc.pb.h"

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr seconds kPatience{20};
constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kHealthWatch[] = "/grpc.health.v1.Health/Watch";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
// HealthCheckResponse on the wire: field 1, a varint.
const std::string kServing("\x08\x01", 2);
const std::string kNotServing("\x08\x02", 2);

grpc::ByteBuffer Bytes(const std::string& text) {
  const grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

std::string Text(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

// A connection of its own, past any proxy that the environment names.
std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// A call of a method that has no generated stub here: one message out, messages in.
class RawCall {
 public:
  RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
          const std::string& request)
      : stub_(channel) {
    context_.set_deadline(std::chrono::system_clock::now() + kPatience);
    stream_ = stub_.PrepareCall(&context_, method, &queue_);
    stream_->StartCall(this);
    Next();
    stream_->WriteLast(Bytes(request), grpc::WriteOptions(), this);
    Next();
  }
  ~RawCall() {
    context_.TryCancel();
    Finish();
    queue_.Shutdown();
  }

  std::string Read() {
    grpc::ByteBuffer message;
    stream_->Read(&message, this);
    return Next() ? Text(message) : "";
  }
  grpc::Status Finish() {
    if (!finished_) {
      stream_->Finish(&status_, this);
      Next();
      finished_ = true;
    }
    return status_;
  }

 private:
  bool Next() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::Status status_;
  bool finished_ = false;
};

// HealthCheckRequest: field 1, a string.
std::string HealthRequest(const std::string& service) {
  return std::string("\x0a") + static_cast<char>(service.size()) + service;
}

std::string HttpGet(const std::string& address, const std::string& path) {
  const auto colon = address.rfind(':');
  asio::io_context context;
  tcp::socket socket(context);
  socket.connect({asio::ip::make_address(address.substr(0, colon)),
                  static_cast<uint16_t>(std::stoi(address.substr(colon + 1)))});
  asio::write(socket, asio::buffer("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"));
  std::string answer;
  boost::system::error_code error;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    InstallLogSinkForTest([](std::string_view) {});
    std::string name = (fs::temp_directory_path() / "server_test.XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    config_.listen = {"127.0.0.1", 0, ""};
    config_.http_listen = {"127.0.0.1", 0, ""};
    config_.state_dir = folder_ / "state";
    config_.threads = 2;
    config_.skip_deliverability = true;  // no question leaves the machine
  }
  ~ServerTest() override {
    InstallLogSinkForTest({});
    fs::remove_all(folder_);
  }

  std::unique_ptr<Server> Started() const {
    auto server = Server::Start(config_);
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }
  std::string Failure() const {
    const auto server = Server::Start(config_);
    EXPECT_FALSE(server.ok());
    return std::string(server.status().message());
  }
  static grpc::Status Describe(const std::string& address, v1::DescribeResponse& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    return v1::EmailAction::NewStub(Connect(address))->Describe(&context, {}, &response);
  }

  fs::path folder_;
  ServerConfig config_;
};

// A call that is in flight as long as the test wants: it waits for the greeting of a mail server
// that is the test.
class HangingCall {
 public:
  explicit HangingCall(const std::string& address)
      : acceptor_(context_, {asio::ip::make_address("127.0.0.1"), 0}),
        answer_(std::async(std::launch::async, [this, address] {
          v1::ValidateConfigRequest request;
          request.set_depth(v1::VALIDATE_DEPTH_CONNECT);
          v1::SmtpConfig& smtp = *request.mutable_config()->mutable_smtp();
          smtp.set_host("127.0.0.1");
          smtp.set_port(acceptor_.local_endpoint().port());
          smtp.set_tls(v1::TLS_MODE_OFF);
          smtp.set_domain("client.example");
          grpc::ClientContext context;
          context.set_deadline(std::chrono::system_clock::now() + kPatience);
          v1::ValidateConfigResponse response;
          return v1::EmailAction::NewStub(Connect(address))
              ->ValidateConfig(&context, request, &response);
        })) {
    acceptor_.accept(socket_);
  }

  void End() { socket_.close(); }
  bool Ended() { return answer_.wait_for(seconds(0)) == std::future_status::ready; }
  grpc::Status Answer() { return answer_.get(); }

 private:
  asio::io_context context_;
  tcp::acceptor acceptor_;
  tcp::socket socket_{context_};
  std::future<grpc::Status> answer_;
};

// Waits for what other threads bring about.
template <class Condition>
bool Becomes(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST_F(ServerTest, AnswersDescribeOnTheAddressItNames) {
  const auto server = Started();
  EXPECT_THAT(server->address(), AllOf(StartsWith("127.0.0.1:"), testing::Not(EndsWith(":0"))));
  v1::DescribeResponse response;
  const grpc::Status status = Describe(server->address(), response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.name(), "sendstep");
  EXPECT_THAT(response.config_schema(), HasSubstr("\"$schema\""));
}

TEST_F(ServerTest, ServesOnASocketFile) {
  config_.listen = {"", 0, (folder_ / "s.sock").string()};
  const auto server = Started();
  EXPECT_EQ(server->address(), "unix:" + config_.listen.unix_path);
  v1::DescribeResponse response;
  EXPECT_TRUE(Describe(server->address(), response).ok());
}

TEST_F(ServerTest, ServesOnIpv6) {
  config_.listen = {"::1", 0, ""};
  const auto server = Server::Start(config_);
  if (!server.ok()) GTEST_SKIP() << "no IPv6 loopback here: " << server.status();
  EXPECT_THAT((*server)->address(), StartsWith("[::1]:"));
  v1::DescribeResponse response;
  EXPECT_TRUE(Describe((*server)->address(), response).ok());
}

TEST_F(ServerTest, HealthServiceKnowsTheServerAndTheService) {
  const auto server = Started();
  const auto channel = Connect(server->address());
  EXPECT_EQ(RawCall(channel, kHealthCheck, "").Read(), kServing);
  EXPECT_EQ(RawCall(channel, kHealthCheck, HealthRequest("sendstep.v1.EmailAction")).Read(),
            kServing);
}

TEST_F(ServerTest, ReflectionListsTheService) {
  const auto server = Started();
  const std::string list_services = "\x3a\x01*";  // field 7, a string
  EXPECT_THAT(RawCall(Connect(server->address()), kReflection, list_services).Read(),
              HasSubstr("sendstep.v1.EmailAction"));
}

TEST_F(ServerTest, HttpTellsReadinessAndMetrics) {
  const auto server = Started();
  v1::DescribeResponse response;
  ASSERT_TRUE(Describe(server->address(), response).ok());
  EXPECT_THAT(HttpGet(server->http_address(), "/readyz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(
      HttpGet(server->http_address(), "/metrics"),
      HasSubstr("sendstep_requests_total{method=\"Describe\",outcome=\"ok\",reason=\"\"} 1"));
}

TEST_F(ServerTest, HttpMayBeOff) {
  config_.http_listen.reset();
  EXPECT_THAT(Started()->http_address(), IsEmpty());
}

TEST_F(ServerTest, CompressedRequestIsRefused) {
  const auto server = Started();
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::ValidateConfigRequest request;
  request.mutable_email()->set_text(std::string(10'000, 'a'));
  v1::ValidateConfigResponse response;
  const grpc::Status status = v1::EmailAction::NewStub(Connect(server->address()))
                                  ->ValidateConfig(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
}

TEST_F(ServerTest, StateFolderIsMadeForItsOwnerAlone) {
  const auto server = Started();
  EXPECT_EQ(fs::status(config_.state_dir).permissions(), fs::perms::owner_all);
  EXPECT_TRUE(fs::exists(config_.state_dir / "message-id.key"));
}

TEST_F(ServerTest, SandboxKeepsItsMaildirWhereItIsTold) {
  config_.sandbox = true;
  config_.sandbox_maildir = folder_ / "mail";
  const auto server = Started();
  v1::DescribeResponse response;
  ASSERT_TRUE(Describe(server->address(), response).ok());
  EXPECT_EQ(response.sandbox().maildir(), config_.sandbox_maildir.string());
  EXPECT_TRUE(fs::is_directory(config_.sandbox_maildir / "new"));
}

TEST_F(ServerTest, PortInUseIsSaid) {
  const auto first = Started();
  const std::string address = first->address();
  config_.listen.port = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  EXPECT_THAT(Failure(), AllOf(HasSubstr(address), HasSubstr("in use")));
}

TEST_F(ServerTest, SocketFileInUseIsLeftAlone) {
  config_.listen = {"", 0, (folder_ / "s.sock").string()};
  const auto first = Started();
  EXPECT_THAT(Failure(), HasSubstr("another process listens there"));
  v1::DescribeResponse response;
  EXPECT_TRUE(Describe(first->address(), response).ok());
}

TEST_F(ServerTest, StaleSocketFileIsReplaced) {
  config_.listen = {"", 0, (folder_ / "s.sock").string()};
  {
    asio::io_context context;
    asio::local::stream_protocol::acceptor dead(context, config_.listen.unix_path);
  }
  ASSERT_TRUE(fs::is_socket(config_.listen.unix_path));
  v1::DescribeResponse response;
  const auto server = Started();
  EXPECT_TRUE(Describe(server->address(), response).ok());
}

TEST_F(ServerTest, FileInThePlaceOfTheSocketIsLeftAlone) {
  config_.listen = {"", 0, (folder_ / "precious").string()};
  std::ofstream(config_.listen.unix_path) << "text";
  EXPECT_THAT(Failure(), HasSubstr("not a socket"));
  EXPECT_EQ(fs::file_size(config_.listen.unix_path), 4u);
}

TEST_F(ServerTest, SocketFileIsGoneAfterStop) {
  config_.listen = {"", 0, (folder_ / "s.sock").string()};
  Started()->Stop(seconds(1));
  EXPECT_FALSE(fs::exists(config_.listen.unix_path));
}

TEST_F(ServerTest, BadRelaysFileIsNamed) {
  config_.relays_file = folder_ / "relays.yaml";
  std::ofstream(config_.relays_file) << "relayz: {}\n";
  EXPECT_THAT(Failure(), HasSubstr("relays.yaml"));
}

TEST_F(ServerTest, ForeignKeyFileIsRefused) {
  fs::create_directory(config_.state_dir);
  std::ofstream(config_.state_dir / "message-id.key") << "short";
  EXPECT_THAT(Failure(), HasSubstr("message-id.key"));
}

TEST_F(ServerTest, StopIsNotReadyAtOnceAndLetsTheCallInFlightEnd) {
  const auto server = Started();
  HangingCall call(server->address());
  RawCall watch(Connect(server->address()), kHealthWatch, "");
  EXPECT_EQ(watch.Read(), kServing);
  std::jthread stopper([&] { server->Stop(kPatience); });
  EXPECT_EQ(watch.Read(), kNotServing);
  EXPECT_THAT(HttpGet(server->http_address(), "/readyz"),
              AllOf(StartsWith("HTTP/1.1 503 "), EndsWith("stopping\n")));
  EXPECT_THAT(HttpGet(server->http_address(), "/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_FALSE(call.Ended());
  call.End();
  const grpc::Status status = call.Answer();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(ServerTest, NewCallsAreRefusedWhileStopping) {
  const auto server = Started();
  HangingCall call(server->address());
  std::jthread stopper([&] { server->Stop(kPatience); });
  EXPECT_TRUE(Becomes([&] {
    v1::DescribeResponse response;
    return Describe(server->address(), response).error_code() == grpc::StatusCode::UNAVAILABLE;
  }));
  EXPECT_FALSE(call.Ended());
  call.End();
}

TEST_F(ServerTest, CallBeyondTheDrainTimeIsCancelled) {
  const auto server = Started();
  HangingCall call(server->address());
  const auto before = std::chrono::steady_clock::now();
  server->Stop(milliseconds(50));
  EXPECT_LT(std::chrono::steady_clock::now() - before, kPatience / 2);
  EXPECT_FALSE(call.Answer().ok());
}

TEST_F(ServerTest, OpenHealthWatchDoesNotHoldUpTheStop) {
  const auto server = Started();
  RawCall watch(Connect(server->address()), kHealthWatch, "");
  EXPECT_EQ(watch.Read(), kServing);
  const auto before = std::chrono::steady_clock::now();
  server->Stop(kPatience);
  EXPECT_LT(std::chrono::steady_clock::now() - before, kPatience / 2);
}

TEST_F(ServerTest, StopTwiceIsStopOnce) {
  const auto server = Started();
  const std::string address = server->address();
  server->Stop(seconds(1));
  server->Stop(seconds(1));
  v1::DescribeResponse response;
  EXPECT_EQ(Describe(address, response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, StartAgainOnTheSamePortAfterStop) {
  std::string address;
  {
    const auto first = Started();
    address = first->address();
  }
  config_.listen.port = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  const auto second = Started();
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->address(), address);
}

}  // namespace
}  // namespace sendstep::plugin
