#include "plugin/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <atomic>
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
  bytes_sent = &prometheus::BuildCounter()
                    .Name("sendstep_message_sent_bytes_total")
                    .Help("Bytes of messages that a provider accepted.")
                    .Register(registry)
                    .Add({});
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
