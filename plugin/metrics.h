// What the server counts, in Prometheus' text format. Label values come from closed lists (the
// methods and reasons of the contract, kOutcomes below); anything else counts
// as "other", so that no caller can make the number of series grow.
//
// Threads: all methods are thread-safe. Cost: counting takes no lock but the histogram's own.
#ifndef SENDSTEP_PLUGIN_METRICS_H_
#define SENDSTEP_PLUGIN_METRICS_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "transport/net/pool.h"

namespace sendstep::plugin {

// How a call ended. "sent", "partially_sent": Execute and an accepted TestSend. "ok": answered, and
// nothing was to be sent. "refused": answered, and the answer is a failure (ValidateConfig,
// TestSend). "failed", "uncertain", "cancelled": a status that is not OK.
inline constexpr std::array<std::string_view, 7> kOutcomes = {
    "ok", "sent", "partially_sent", "refused", "failed", "uncertain", "cancelled"};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // `method`: "Execute", without the service. Each start is followed by exactly one finish.
  void RequestStarted(std::string_view method);
  // `reason`: a name of v1::Reason without its prefix, "AUTH_REFUSED"; empty: there is none.
  void RequestFinished(std::string_view method, std::string_view outcome, std::string_view reason);
  void RequestTook(std::string_view method, std::chrono::nanoseconds took);
  // `stage`: as base::StageName.
  void StageTook(std::string_view stage, std::chrono::nanoseconds took);
  // A reply of an SMTP server, by class: 2xx to 5xx.
  void ReplyReceived(int code);
  // Bytes of messages that a provider accepted.
  void BytesSent(uint64_t bytes);
  // Bytes of requests that are worked on from now on; negative: no longer.
  void RequestBytesHeld(int64_t bytes);
  // A call refused because it would go beyond `limit`: "calls" or "bytes".
  void Overloaded(std::string_view limit);

  // The connections to SMTP servers, as the next Render() shows them.
  void SetPool(const net::PoolStats& pool);

  // Requests started and not finished.
  int InFlight() const;

  // Text format 0.0.4.
  std::string Render() const;

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_METRICS_H_
