// bench_load: calls Execute at one or more servers and says in JSON on stdout how that went: calls
// made and OK, failures by status and reason with the first one's text, seconds, calls a second,
// latencies in milliseconds. Bounded in count, time or both. SIGTERM and SIGINT end it with what it
// has so far. `bench_load --help` lists the options. The password of --username comes from the
// environment: BENCH_LOAD_PASSWORD.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/bench/generator.h"
#include "tests/bench/payload.h"
#include "tests/support/engine.h"

namespace {

using sendstep::bench::LoadOptions;
using sendstep::bench::LoadResult;
using sendstep::bench::PayloadOptions;
namespace v1 = sendstep::v1;

volatile std::sig_atomic_t stop = 0;

struct Options {
  LoadOptions load;
  PayloadOptions payload;
};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Ends the process where the arguments are wrong.
Options Parse(int argc, char** argv) {
  static const std::map<std::string, v1::TlsMode> kTls = {{"off", v1::TLS_MODE_OFF},
                                                          {"on", v1::TLS_MODE_ON},
                                                          {"starttls", v1::TLS_MODE_STARTTLS},
                                                          {"implicit", v1::TLS_MODE_IMPLICIT}};
  Options options;
  double seconds = 0, deadline = 60;
  std::string host = "127.0.0.1", tls = "off", username, ca_file;
  int port = 25;
  bool no_request_id = false, any_certificate = false;
  CLI::App app("Calls Execute and measures.", "bench_load");
  app.add_option("--address", options.load.addresses, "Servers, which take turns.")->required();
  app.add_option("--in-flight", options.load.in_flight, "Calls in flight at any time.");
  app.add_option(
      "--rate", options.load.rate,
      "Calls a second instead, whatever is in flight; latencies count from when each was "
      "due.");
  app.add_option("--count", options.load.count, "Calls to make.");
  app.add_option("--seconds", seconds, "How long to make calls.");
  app.add_option("--connections", options.load.connections, "gRPC connections to each server.");
  app.add_option("--deadline", deadline, "Seconds each call may take.");
  app.add_option("--body", options.payload.body_bytes, "Bytes of text.");
  app.add_option("--attachment", options.payload.attachment_bytes, "Bytes of an attachment.");
  app.add_option("--relay", options.payload.relay, "Send through a relay of the server's.");
  app.add_option("--smtp-host", host, "Else through this SMTP server.");
  app.add_option("--smtp-port", port, "Its port.");
  app.add_option("--tls", tls, "off, on, starttls or implicit.")->check(CLI::IsMember(kTls));
  app.add_option("--username", username, "SMTP username, also the sender.");
  app.add_option("--ca-file", ca_file, "PEM file of its certificate authority.")
      ->check(CLI::ExistingFile);
  app.add_flag("--any-certificate", any_certificate, "Trust any certificate of its.");
  app.add_option("--accounts", options.payload.accounts,
                 "Accounts that take turns; 0: a new one for each call.");
  app.add_flag("--no-request-id", no_request_id, "Send no request ids.");
  try {
    app.parse(argc, argv);
    if (options.load.count == 0 && seconds <= 0) throw CLI::RequiredError("--count or --seconds");
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  const auto milliseconds = [](double value) {
    return std::chrono::milliseconds(static_cast<int64_t>(value * 1000));
  };
  options.load.duration = milliseconds(seconds);
  options.load.deadline = milliseconds(deadline);
  options.payload.smtp = sendstep::testing::SmtpAt(host, port, kTls.at(tls));
  if (!ca_file.empty()) options.payload.smtp.set_ca_pem(ReadFile(ca_file));
  options.payload.smtp.set_insecure_skip_verify(any_certificate);
  if (const char* password = std::getenv("BENCH_LOAD_PASSWORD"); !username.empty() && password) {
    options.payload.smtp.set_username(username);
    options.payload.smtp.mutable_password()->set_value(password);
  }
  options.payload.request_ids = !no_request_id;
  return options;
}

nlohmann::json Report(const LoadResult& result) {
  nlohmann::json failures = nlohmann::json::object();
  uint64_t failed = 0;
  for (const auto& [name, failure] : result.failures) {
    failures[name] = {{"count", failure.count}, {"text", failure.text}};
    failed += failure.count;
  }
  const double seconds = std::max(result.seconds, 1e-9);
  return {{"calls", result.made},
          {"ok", result.ok},
          {"failed", failed},
          {"unanswered", result.made - result.ok - failed},
          {"failures", failures},
          {"seconds", result.seconds},
          {"ok_per_second", static_cast<double>(result.ok) / seconds},
          {"message_bytes", result.message_bytes},
          {"latency_ms",
           {{"p50", result.latencies.PercentileMs(50)},
            {"p90", result.latencies.PercentileMs(90)},
            {"p99", result.latencies.PercentileMs(99)},
            {"max", result.latencies.max_ms()}}}};
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  for (const int signal : {SIGTERM, SIGINT}) std::signal(signal, [](int) { stop = 1; });
  try {
    const sendstep::bench::Payload payload(options.payload);
    std::cout << Report(sendstep::bench::Run(options.load, payload, &stop)).dump(2) << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "bench_load: " << error.what() << "\n";
    return 1;
  }
  std::_Exit(0);  // calls that a signal left in flight are not waited for
}
