#include "plugin/server.h"

#include <fcntl.h>
#include <google/protobuf/generated_message_reflection.h>
#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <optional>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

#include "grpc/health/v1/health.pb.h"
#include "plugin/account.h"
#include "plugin/email_service.h"
#include "plugin/executions.h"
#include "plugin/http_listener.h"
#include "plugin/key_file.h"
#include "plugin/ledger_keeper.h"
#include "plugin/limits.h"
#include "plugin/logging.h"
#include "plugin/message_id.h"
#include "plugin/metrics.h"
#include "plugin/relay_tokens.h"
#include "plugin/relays.h"
#include "providers/registry.h"
#include "providers/sandbox/sandbox.h"
#include "transport/dns/cached_lookup.h"
#include "transport/dns/cares_lookup.h"
#include "transport/dns/cares_resolver.h"
#include "transport/net/mailer.h"

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kService[] = "sendstep.v1.EmailAction";
constexpr int kMaxMetadataBytes = 16 * 1024;
constexpr seconds kKeepaliveTime{60};
constexpr seconds kKeepaliveTimeout{20};
constexpr seconds kMinPingInterval{10};
constexpr seconds kHandshakeTimeout{10};
// What may still be said to providers (QUIT) after the last call has ended.
constexpr milliseconds kTailTime{1000};
// From the end of our last call until streams that nobody ends (health Watch, reflection) are cut.
constexpr milliseconds kStreamGrace{500};
constexpr milliseconds kDrainPoll{20};
// After the drain timeout, so that calls broken off then can still answer.
constexpr milliseconds kAnswerTime{500};

// The io_context and its threads.
class Workers {
 public:
  explicit Workers(int threads) : context_(threads), work_(context_.get_executor()) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] {
        Run();
        ended_.release();
      });
      pthread_setname_np(threads_.back().native_handle(), ("send-" + std::to_string(i)).c_str());
    }
  }
  ~Workers() { Stop(milliseconds(0)); }

  asio::any_io_executor executor() { return context_.get_executor(); }

  // Runs what is left for at most `patience`.
  void Stop(milliseconds patience) {
    work_.reset();
    const auto until = std::chrono::steady_clock::now() + patience;
    for (size_t i = 0; i < threads_.size(); ++i) {
      if (!ended_.try_acquire_until(until)) break;
    }
    context_.stop();
    threads_.clear();
  }

 private:
  // A handler that throws is a bug; the other calls need not die of it.
  void Run() {
    for (;;) {
      try {
        context_.run();
        return;
      } catch (const std::exception& e) {
        Log(Level::kError, "internal_error", {{"what", e.what()}});
      }
    }
  }

  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::counting_semaphore<> ended_{0};
  std::vector<std::jthread> threads_;  // joined first
};

absl::Status MakeFolder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return absl::OkStatus();
  fs::create_directories(folder.parent_path(), error);
  if (!error && (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST)) return absl::OkStatus();
  if (!error) error = std::error_code(errno, std::generic_category());
  return absl::UnavailableError("cannot make the folder " + folder.string() + ": " +
                                error.message());
}

absl::StatusOr<providers::Registry> LoadRegistry(const fs::path& folder) {
  if (folder.empty()) return providers::Registry::Embedded();
  return providers::Registry::WithFolder(folder);
}

// gRPC removes whatever socket is at the path: so look whether one of those is in use.
absl::Status CheckSocketFile(const std::string& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return absl::UnavailableError("cannot listen on unix:" + path + ": it is not a socket");
  }
  asio::io_context context;
  asio::local::stream_protocol::socket probe(context);
  boost::system::error_code error;
  probe.connect(path, error);
  if (error == asio::error::connection_refused) return absl::OkStatus();
  return absl::UnavailableError("cannot listen on unix:" + path + ": " +
                                (error ? error.message() : "another process listens there"));
}

// gRPC tells its log alone why it cannot listen; the same attempt tells us.
absl::Status WhyNotListening(const ListenAddress& address) {
  asio::io_context context;
  boost::system::error_code error;
  if (!address.unix_path.empty()) {
    asio::local::stream_protocol::acceptor probe(context);
    probe.open(asio::local::stream_protocol(), error);
    probe.bind(address.unix_path, error);
    if (!error) ::unlink(address.unix_path.c_str());
  } else {
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(address.host), address.port);
    asio::ip::tcp::acceptor probe(context);
    probe.open(endpoint.protocol(), error);
    if (!error) probe.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) probe.bind(endpoint, error);
    if (!error) probe.listen(1, error);
  }
  return absl::UnavailableError("cannot listen on " + address.ToString() + ": " +
                                (error ? error.message() : "gRPC refused; the log says why"));
}

template <class Duration>
int Milliseconds(Duration duration) {
  return static_cast<int>(milliseconds(duration).count());
}

// Caps of what a caller may make the server hold (docs of the arguments: grpc_types.h).
void Configure(grpc::ServerBuilder& builder, const ServerConfig& config) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(kMaxReceiveBytes));
  builder.SetMaxSendMessageSize(static_cast<int>(kMaxRequestBytes));
  builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
  builder.AddChannelArgument(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
                             1 << GRPC_COMPRESS_NONE);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, config.max_concurrent_streams);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(kHandshakeTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveTime));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(kMinPingInterval));
  // Two servers must not share a port unnoticed.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc::ResourceQuota quota("sendstep");
  // Requests that are still arriving: as much as may be worked on, and always one of any size, so
  // that it can be answered.
  quota.Resize(config.in_flight.bytes + kMaxReceiveBytes);
  builder.SetResourceQuota(quota);
}

void EnableGrpcServices() {
  grpc::EnableDefaultHealthCheckService(true);
  // For reflection: without a reference the linker would drop the descriptor.
  google::protobuf::LinkMessageReflection<grpc::health::v1::HealthCheckRequest>();
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
}

}  // namespace

dns::CaresOptions DnsOptions(const ServerConfig& config) {
  dns::CaresOptions options;
  options.servers = config.dns_servers;
  return options;
}

// Members are destroyed from the last to the first: each may use those above it.
class Server::Impl {
 public:
  explicit Impl(const ServerConfig& config) : config_(config), workers_(config.threads) {}
  ~Impl() { Stop(milliseconds(0)); }

  absl::Status Start() {
    if (absl::Status status = MakeFolder(config_.state_dir); !status.ok()) return status;
    auto key = LoadOrMakeKey(config_.state_dir / "message-id.key");
    if (!key.ok()) return key.status();
    const KeyedDigest digest(*key);
    auto registry = LoadRegistry(config_.profiles_dir);
    if (!registry.ok()) return registry.status();
    registry_.emplace(*std::move(registry));
    if (!config_.relays_file.empty()) {
      auto relays = Relays::Load(config_.relays_file);
      if (!relays.ok()) return relays.status();
      relays_ = *std::move(relays);
    }
    if (config_.sandbox) {
      auto sandbox = providers::Sandbox::Start(workers_.executor(), config_.sandbox_maildir);
      if (!sandbox.ok()) return sandbox.status();
      sandbox_ = *std::move(sandbox);
    }
    if (absl::Status status =
            CheckRelays({&*registry_, &relays_, sandbox_.get(), config_.ehlo_name, {}});
        !status.ok()) {
      return status;
    }
    if (absl::Status status = OpenLedger(digest); !status.ok()) return status;
    Dependencies dependencies;
    dependencies.executor = workers_.executor();
    dependencies.registry = &*registry_;
    dependencies.relays = &relays_;
    dependencies.tokens = &tokens_.emplace(workers_.executor(), relays_, resolver_);
    dependencies.mailer = &mailer_;
    dependencies.lookup = &lookup_;
    dependencies.diagnoses = !config_.skip_deliverability;
    dependencies.sandbox = sandbox_.get();
    dependencies.metrics = &metrics_;
    dependencies.ledger = keeper_ ? &keeper_->store() : nullptr;
    dependencies.executions = executions_ ? &*executions_ : nullptr;
    dependencies.request_id_required = config_.request_id_required;
    dependencies.reply_wait = config_.ledger.reply_wait;
    dependencies.in_flight = &in_flight_;
    dependencies.open_calls = &open_calls_;
    dependencies.ehlo_name = config_.ehlo_name;
    dependencies.limits.max_connections = config_.max_connections_per_account;
    dependencies.digest = digest;
    service_.emplace(std::move(dependencies));
    if (absl::Status status = StartHttp(); !status.ok()) return status;
    if (absl::Status status = StartGrpc(); !status.ok()) return status;
    if (keeper_) keeper_->Watch([this](bool well) { SetServing(well); });
    return absl::OkStatus();
  }

  const std::string& address() const { return address_; }
  std::string http_address() const { return http_ ? http_->address().ToString() : ""; }

  void Stop(milliseconds drain_timeout) {
    draining_ = true;
    if (grpc_) Drain(drain_timeout);
    if (keeper_) keeper_->Stop();
    grpc_.reset();
    if (sandbox_) sandbox_->Stop();
    if (http_) http_->Stop();
    workers_.Stop(kTailTime);
  }

 private:
  absl::Status OpenLedger(const KeyedDigest& digest) {
    if (config_.ledger.off()) return absl::OkStatus();
    const std::string owner = RandomHex(16);
    auto keeper = LedgerKeeper::Open(workers_.executor(), config_.ledger, owner, digest);
    if (!keeper.ok()) return keeper.status();
    keeper_ = *std::move(keeper);
    executions_.emplace(
        workers_.executor(), keeper_->store(), mailer_, metrics_,
        Executions::Options{owner, {config_.ledger.lease, config_.ledger.reply_wait}});
    return absl::OkStatus();
  }

  void SetServing(bool well) {
    ledger_well_ = well;
    if (!draining_) grpc_->GetHealthCheckService()->SetServingStatus(kService, well);
  }

  absl::Status StartHttp() {
    if (!config_.http_listen) return absl::OkStatus();
    HttpCallbacks callbacks;
    callbacks.not_ready = [this]() -> std::string {
      if (draining_) return "stopping";
      if (!ledger_well_) return "ledger";
      return serving_ ? "" : "starting";
    };
    callbacks.metrics = [this] {
      metrics_.SetPool(mailer_.pool_stats());
      return metrics_.Render();
    };
    auto http = HttpListener::Start(workers_.executor(), *config_.http_listen, callbacks);
    if (!http.ok()) return http.status();
    http_ = *std::move(http);
    return absl::OkStatus();
  }

  absl::Status StartGrpc() {
    if (!config_.listen.unix_path.empty()) {
      if (absl::Status status = CheckSocketFile(config_.listen.unix_path); !status.ok()) {
        return status;
      }
    }
    EnableGrpcServices();
    grpc::ServerBuilder builder;
    Configure(builder, config_);
    int port = 0;
    builder.AddListeningPort(config_.listen.ToString(), grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&*service_);
    grpc_ = builder.BuildAndStart();
    if (!grpc_) return WhyNotListening(config_.listen);
    grpc_->GetHealthCheckService()->SetServingStatus(kService, true);
    ListenAddress bound = config_.listen;
    if (bound.unix_path.empty()) bound.port = static_cast<uint16_t>(port);
    address_ = bound.ToString();
    serving_ = true;
    return absl::OkStatus();
  }

  // Watches beside Shutdown(), which waits for streams that their clients never end and for sends
  // that their provider never answers. Calls broken off then have kAnswerTime to answer.
  void Drain(milliseconds timeout) {
    Log(Level::kInfo, "draining",
        {{"in_flight", metrics_.InFlight()}, {"timeout_ms", timeout.count()}});
    grpc_->GetHealthCheckService()->Shutdown();
    mailer_.CloseIdle();
    const auto abandon_at = std::chrono::steady_clock::now() + timeout;
    std::jthread cutter([this, abandon_at](const std::stop_token& stop) {
      auto idle_since = std::chrono::steady_clock::now();
      while (!stop.stop_requested()) {
        const auto now = std::chrono::steady_clock::now();
        if (open_calls_ > 0) idle_since = now;
        if (now >= abandon_at) Abandon();
        if (now - idle_since >= kStreamGrace) {
          grpc_server_cancel_all_calls(grpc_->c_server());
          return;
        }
        std::this_thread::sleep_for(kDrainPoll);
      }
    });
    grpc_->Shutdown(std::chrono::system_clock::now() + timeout + kAnswerTime);
    // Sends whose callers have left. What a provider has not answered is broken off and recorded.
    while (executions_ && executions_->running() > 0) {
      if (std::chrono::steady_clock::now() >= abandon_at) Abandon();
      std::this_thread::sleep_for(kDrainPoll);
    }
  }

  void Abandon() {
    if (mailer_.abandoned()) return;
    mailer_.Abandon();
    if (tokens_) tokens_->Stop();
    dns_.Stop();
    if (executions_) executions_->Abandon();
  }

  const ServerConfig config_;
  Metrics metrics_;
  InFlight in_flight_{config_.in_flight, metrics_};
  std::atomic<bool> serving_ = false;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> ledger_well_ = true;
  std::atomic<int> open_calls_ = 0;
  std::optional<providers::Registry> registry_;
  Relays relays_;
  Workers workers_;
  dns::CaresResolver resolver_{workers_.executor(), DnsOptions(config_)};
  dns::CaresLookup dns_{workers_.executor(), DnsOptions(config_)};
  dns::CachedLookup lookup_{dns_};
  std::optional<RelayTokens> tokens_;
  net::Mailer mailer_{workers_.executor(), resolver_};
  std::unique_ptr<providers::Sandbox> sandbox_;
  std::unique_ptr<LedgerKeeper> keeper_;
  std::optional<Executions> executions_;
  std::optional<EmailService> service_;
  std::unique_ptr<HttpListener> http_;
  std::unique_ptr<grpc::Server> grpc_;
  std::string address_;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerConfig& config) {
  auto impl = std::make_unique<Impl>(config);
  if (absl::Status status = impl->Start(); !status.ok()) return status;
  Log(Level::kInfo, "listening",
      {{"address", impl->address()},
       {"http_address", impl->http_address()},
       {"maildir", config.sandbox_maildir.string()},
       {"state_dir", config.state_dir.string()},
       {"ledger", !config.ledger.url.empty() ? "postgresql" : config.ledger.file.string()},
       {"threads", config.threads},
       {"version", SENDSTEP_VERSION}});
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

const std::string& Server::address() const { return impl_->address(); }
std::string Server::http_address() const { return impl_->http_address(); }
void Server::Stop(milliseconds drain_timeout) { impl_->Stop(drain_timeout); }

}  // namespace sendstep::plugin
