#include "plugin/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::plugin {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

constexpr std::string_view kReasonPrefix = "REASON_";
constexpr std::array<std::string_view, 5> kReplyClasses = {"2xx", "3xx", "4xx", "5xx", "other"};

// The values a label may have; the last one stands for all others.
class Values {
 public:
  explicit Values(std::vector<std::string> names) : names_(std::move(names)) {
    names_.push_back("other");
  }

  size_t size() const { return names_.size(); }
  const std::string& operator[](size_t index) const { return names_[index]; }
  size_t Index(std::string_view name) const {
    const auto found = std::find(names_.begin(), names_.end() - 1, name);
    return static_cast<size_t>(found - names_.begin());
  }

 private:
  std::vector<std::string> names_;
};

Values Methods() {
  const auto* service = v1::DescribeRequest::descriptor()->file()->FindServiceByName("EmailAction");
  std::vector<std::string> names;
  for (int i = 0; i < service->method_count(); ++i) names.push_back(service->method(i)->name());
  return Values(std::move(names));
}

Values Reasons() {
  std::vector<std::string> names = {""};
  const auto* reasons = v1::Reason_descriptor();
  for (int i = 0; i < reasons->value_count(); ++i) {
    names.push_back(reasons->value(i)->name().substr(kReasonPrefix.size()));
  }
  return Values(std::move(names));
}

Values InFlightLimitNames() { return Values({"calls", "bytes"}); }

Values Stages() {
  return Values({"config", "dns", "tcp", "tls", "ehlo", "auth", "mail_from", "rcpt_to", "data"});
}

// 1 ms to 600 s: from a reply of the sandbox to the longest wait of RFC 5321 4.5.3.2.
const Histogram::BucketBoundaries& Buckets() {
  static const Histogram::BucketBoundaries buckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                      0.1,   0.25,   0.5,   1,    2.5,   5,
                                                      10,    30,     60,    120,  300,   600};
  return buckets;
}

double Seconds(std::chrono::nanoseconds took) {
  return std::chrono::duration<double>(took).count();
}

}  // namespace

struct Metrics::Series {
  Series();
  void AddConnections();
  Counter* Count(const char* name, const char* help);  // without labels

  // Made at first use: few of the combinations ever occur.
  Counter& Requests(size_t method, size_t outcome, size_t reason);

  prometheus::Registry registry;
  Values methods = Methods();
  Values outcomes = Values({kOutcomes.begin(), kOutcomes.end()});
  Values reasons = Reasons();
  Values stages = Stages();

  std::atomic<int> in_flight = 0;
  std::vector<Gauge*> in_flight_by_method;
  std::vector<Histogram*> request_seconds;
  std::vector<Histogram*> stage_seconds;
  std::array<Counter*, kReplyClasses.size()> replies = {};
  Counter* bytes_sent = nullptr;
  std::array<Gauge*, 3> connections = {};  // busy, idle, connecting
  Gauge* sends_waiting = nullptr;
  Counter* connections_opened = nullptr;
  Counter* connections_reused = nullptr;
  std::vector<Counter*> connections_closed;  // as net::kConnectionEnds
  Counter* tls_resumed = nullptr;
  Counter* sends_held_back = nullptr;
  Counter* slowdowns = nullptr;
  std::mutex pool_mutex;
  net::PoolStats last_pool;
  Gauge* request_bytes = nullptr;
  Values limits = InFlightLimitNames();
  std::vector<Counter*> overloads;
  Family<Counter>* requests = nullptr;
  std::vector<std::atomic<Counter*>> requests_made;
};

Metrics::Series::Series() : requests_made(methods.size() * outcomes.size() * reasons.size()) {
  requests = &prometheus::BuildCounter()
                  .Name("sendstep_requests_total")
                  .Help("Calls that ended, by method, outcome and reason.")
                  .Register(registry);
  auto& gauges = prometheus::BuildGauge()
                     .Name("sendstep_requests_in_flight")
                     .Help("Calls that have not ended yet.")
                     .Register(registry);
  auto& durations = prometheus::BuildHistogram()
                        .Name("sendstep_request_seconds")
                        .Help("Time from the start of a call to its answer.")
                        .Register(registry);
  for (size_t i = 0; i < methods.size(); ++i) {
    in_flight_by_method.push_back(&gauges.Add({{"method", methods[i]}}));
    request_seconds.push_back(&durations.Add({{"method", methods[i]}}, Buckets()));
  }
  auto& stage_family = prometheus::BuildHistogram()
                           .Name("sendstep_stage_seconds")
                           .Help("Time spent in a stage of the way to the provider.")
                           .Register(registry);
  for (size_t i = 0; i < stages.size(); ++i) {
    stage_seconds.push_back(&stage_family.Add({{"stage", stages[i]}}, Buckets()));
  }
  auto& reply_family = prometheus::BuildCounter()
                           .Name("sendstep_smtp_replies_total")
                           .Help("Replies of SMTP servers, by class of the reply code.")
                           .Register(registry);
  for (size_t i = 0; i < kReplyClasses.size(); ++i) {
    replies[i] = &reply_family.Add({{"class", std::string(kReplyClasses[i])}});
  }
  bytes_sent =
      Count("sendstep_message_sent_bytes_total", "Bytes of messages that a provider accepted.");
  AddConnections();
  request_bytes = &prometheus::BuildGauge()
                       .Name("sendstep_request_bytes_in_flight")
                       .Help("Bytes of the requests that are worked on.")
                       .Register(registry)
                       .Add({});
  auto& overload_family = prometheus::BuildCounter()
                              .Name("sendstep_overload_refusals_total")
                              .Help("Calls refused because too much was in flight, by limit.")
                              .Register(registry);
  for (size_t i = 0; i < limits.size(); ++i) {
    overloads.push_back(&overload_family.Add({{"limit", limits[i]}}));
  }
  prometheus::BuildGauge()
      .Name("sendstep_build_info")
      .Help("Always 1; the version is the label.")
      .Register(registry)
      .Add({{"version", SENDSTEP_VERSION}})
      .Set(1);
}

Counter* Metrics::Series::Count(const char* name, const char* help) {
  return &prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

void Metrics::Series::AddConnections() {
  auto& open = prometheus::BuildGauge()
                   .Name("sendstep_smtp_connections")
                   .Help("Connections to SMTP servers, by what they do.")
                   .Register(registry);
  connections = {&open.Add({{"state", "busy"}}), &open.Add({{"state", "idle"}}),
                 &open.Add({{"state", "connecting"}})};
  sends_waiting = &prometheus::BuildGauge()
                       .Name("sendstep_sends_waiting")
                       .Help("Sends that wait for a connection within the limits of their account.")
                       .Register(registry)
                       .Add({});
  connections_opened =
      Count("sendstep_smtp_connections_opened_total", "Connections opened, up to their login.");
  connections_reused = Count("sendstep_smtp_connections_reused_total",
                             "Sends that found an open connection of their account.");
  auto& closed = prometheus::BuildCounter()
                     .Name("sendstep_smtp_connections_closed_total")
                     .Help("Connections that ended, by why.")
                     .Register(registry);
  for (const std::string_view why : net::kConnectionEnds) {
    connections_closed.push_back(&closed.Add({{"why", std::string(why)}}));
  }
  tls_resumed =
      Count("sendstep_smtp_tls_resumed_total", "TLS handshakes that resumed an earlier session.");
  sends_held_back = Count("sendstep_sends_held_back_total",
                          "Sends that ended unsent for the limits of their account.");
  slowdowns = Count("sendstep_smtp_slowdowns_total",
                    "Times a server asked to slow down and its account was given less.");
}

Counter& Metrics::Series::Requests(size_t method, size_t outcome, size_t reason) {
  auto& made = requests_made[(method * outcomes.size() + outcome) * reasons.size() + reason];
  Counter* counter = made.load(std::memory_order_acquire);
  if (counter == nullptr) {
    // Two threads may come here at once: the family gives both the same counter.
    counter = &requests->Add(
        {{"method", methods[method]}, {"outcome", outcomes[outcome]}, {"reason", reasons[reason]}});
    made.store(counter, std::memory_order_release);
  }
  return *counter;
}

Metrics::Metrics() : series_(std::make_unique<Series>()) {}
Metrics::~Metrics() = default;

void Metrics::RequestStarted(std::string_view method) {
  ++series_->in_flight;
  series_->in_flight_by_method[series_->methods.Index(method)]->Increment();
}

void Metrics::RequestFinished(std::string_view method, std::string_view outcome,
                              std::string_view reason) {
  const size_t index = series_->methods.Index(method);
  series_->Requests(index, series_->outcomes.Index(outcome), series_->reasons.Index(reason))
      .Increment();
  series_->in_flight_by_method[index]->Decrement();
  --series_->in_flight;
}

void Metrics::RequestTook(std::string_view method, std::chrono::nanoseconds took) {
  series_->request_seconds[series_->methods.Index(method)]->Observe(Seconds(took));
}

void Metrics::StageTook(std::string_view stage, std::chrono::nanoseconds took) {
  series_->stage_seconds[series_->stages.Index(stage)]->Observe(Seconds(took));
}

void Metrics::ReplyReceived(int code) {
  const bool known = code >= 200 && code < 600;
  series_->replies[known ? code / 100 - 2 : kReplyClasses.size() - 1]->Increment();
}

void Metrics::BytesSent(uint64_t bytes) {
  series_->bytes_sent->Increment(static_cast<double>(bytes));
}

void Metrics::SetPool(const net::PoolStats& pool) {
  const std::lock_guard lock(series_->pool_mutex);
  series_->connections[0]->Set(pool.busy);
  series_->connections[1]->Set(pool.idle);
  series_->connections[2]->Set(pool.connecting);
  series_->sends_waiting->Set(pool.waiting);
  const net::PoolStats& last = series_->last_pool;
  const auto count = [](Counter* counter, uint64_t now, uint64_t before) {
    if (now > before) counter->Increment(static_cast<double>(now - before));
  };
  count(series_->connections_opened, pool.opened, last.opened);
  count(series_->connections_reused, pool.reused, last.reused);
  for (size_t i = 0; i < pool.ended.size(); ++i) {
    count(series_->connections_closed[i], pool.ended[i], last.ended[i]);
  }
  count(series_->tls_resumed, pool.tls_resumed, last.tls_resumed);
  count(series_->sends_held_back, pool.held_back, last.held_back);
  count(series_->slowdowns, pool.slowed_down, last.slowed_down);
  series_->last_pool = pool;
}

void Metrics::RequestBytesHeld(int64_t bytes) {
  series_->request_bytes->Increment(static_cast<double>(bytes));
}

void Metrics::Overloaded(std::string_view limit) {
  series_->overloads[series_->limits.Index(limit)]->Increment();
}

int Metrics::InFlight() const { return series_->in_flight; }

std::string Metrics::Render() const {
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

}  // namespace sendstep::plugin
