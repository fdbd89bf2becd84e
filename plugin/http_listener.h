// A small HTTP/1.1 server for probes and scrapers, apart from gRPC: GET and HEAD of
//   /healthz  200 while the process lives
//   /readyz   200, or 503 with the reason
//   /metrics  Prometheus text
// One request a connection. Caps: 8 kB of header, no body, 10 s a connection, 64 connections at
// once (one more closes the oldest, so that clients who send nothing keep no probe out). It tells
// nothing that a caller may not know and takes no orders.
//
// Threads: runs on `executor`, which may have any number of threads; all methods from any thread.
// Lifetime: the executor's context outlives it. No callback runs once Stop() has returned, so
// Stop() must not be called from one.
#ifndef SENDSTEP_PLUGIN_HTTP_LISTENER_H_
#define SENDSTEP_PLUGIN_HTTP_LISTENER_H_

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "plugin/server_config.h"

namespace sendstep::plugin {

struct HttpCallbacks {
  std::function<std::string()> not_ready;  // why; empty: ready
  std::function<std::string()> metrics;
};

class HttpListener {
 public:
  // `address`: TCP. Unavailable where it cannot listen there, with the reason.
  static absl::StatusOr<std::unique_ptr<HttpListener>> Start(boost::asio::any_io_executor executor,
                                                             const ListenAddress& address,
                                                             HttpCallbacks callbacks);
  ~HttpListener();  // as Stop()
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;

  // With the port that was bound.
  const ListenAddress& address() const { return address_; }
  void Stop();

 private:
  class State;
  HttpListener(ListenAddress address, std::shared_ptr<State> state);
  ListenAddress address_;
  std::shared_ptr<State> state_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_HTTP_LISTENER_H_
