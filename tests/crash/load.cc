// The engine of the crash tests: calls Execute until each email has a final answer.
//
//   crash_load CALLERS SINK_PORT GIVE_UP DEADLINE TARGET...
//
// Reads one email per line of standard input, {"key", "to": [address...]} with, where wanted,
// "target" (the index of the one server to call; any otherwise) and "resend": true
// (resend_on_uncertain). CALLERS threads take them in order. Each answer becomes a JSON line of
// standard output: key, target, at and until (milliseconds since 1970), code, reason and text of
// the status, what ExecuteResponse says, and whether it is final. An email is retried
// for GIVE_UP seconds: "gave_up". DEADLINE: seconds of one call.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "plugin/status_details.h"
#include "protos/sendstep/v1/email_action.grpc.pb.h"
#include "tests/support/engine.h"

namespace {

namespace v1 = sendstep::v1;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// However long RetryInfo asks for: tests are in a hurry.
constexpr milliseconds kLongestPause{250};
constexpr milliseconds kShortestPause{10};

int64_t NowMs() {
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class Engine {
 public:
  Engine(int sink_port, std::chrono::seconds give_up, std::chrono::seconds deadline,
         const std::vector<std::string>& targets)
      : sink_port_(sink_port), give_up_(give_up), deadline_(deadline) {
    for (const std::string& target : targets) {
      stubs_.push_back(v1::EmailAction::NewStub(sendstep::testing::ConnectTo(target)));
    }
  }

  // One caller: takes emails until there are no more.
  void Run(unsigned seed) {
    std::mt19937 random(seed);
    for (std::string line; Next(line);) Deliver(json::parse(line), random);
  }

 private:
  bool Next(std::string& line) {
    const std::lock_guard lock(input_);
    return static_cast<bool>(std::getline(std::cin, line));
  }

  v1::ExecuteRequest Request(const json& email) const {
    v1::ExecuteRequest request;
    const std::string key = email.at("key");
    request.set_request_id(key);
    *request.mutable_config()->mutable_smtp() = sendstep::testing::SmtpAt("127.0.0.1", sink_port_);
    request.mutable_email()->mutable_from()->set_email("engine@crash.example");
    for (const std::string address : email.at("to")) {
      request.mutable_email()->add_to()->set_email(address);
    }
    request.mutable_email()->set_subject(key);
    request.mutable_email()->set_text("Your order has left.\n");
    request.set_resend_on_uncertain(email.value("resend", false));
    return request;
  }

  void Deliver(const json& email, std::mt19937& random) {
    const v1::ExecuteRequest request = Request(email);
    const bool pinned = email.contains("target");
    const auto over = steady_clock::now() + give_up_;
    for (;;) {
      const size_t target = pinned ? email["target"].get<size_t>() : random() % stubs_.size();
      milliseconds pause(0);
      json line = Call(request, target, pause);
      const bool final = line["final"];
      line["gave_up"] = !final && steady_clock::now() > over;
      Say(line);
      if (final || line["gave_up"]) return;
      std::this_thread::sleep_for(pause / 2 + milliseconds(random() % (pause.count() + 1)));
    }
  }

  // `pause`: how long to wait before the next call, where one is due.
  json Call(const v1::ExecuteRequest& request, size_t target, milliseconds& pause) {
    v1::ExecuteResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline_);
    context.set_wait_for_ready(true);  // a server that was killed comes back
    json line = {{"key", request.request_id()}, {"target", target}, {"at", NowMs()}};
    const grpc::Status status = stubs_[target]->Execute(&context, request, &response);
    line["until"] = NowMs();
    line["code"] = sendstep::testing::CodeName(status.error_code());
    const auto details = sendstep::plugin::ParseDetails(status);
    line["final"] = Final(status, details.has_value(), request.resend_on_uncertain());
    if (status.ok()) {
      line["outcome"] = v1::Outcome_Name(response.outcome());
      line["dedupe"] = v1::Dedupe_Name(response.dedupe());
      line["message_id"] = response.message_id();
      for (const v1::RecipientResult& recipient : response.recipients()) {
        line["recipients"].push_back(v1::RecipientStatus_Name(recipient.status()));
      }
      return line;
    }
    line["text"] = sendstep::plugin::CleanUtf8(status.error_message());
    line["reason"] = details ? details->reason : "";
    if (details && details->metadata.contains("message_id")) {
      line["message_id"] = details->metadata.at("message_id");
    }
    pause = details && details->retry_after ? *details->retry_after : sendstep::testing::kReconnect;
    pause = std::clamp(pause, kShortestPause, kLongestPause);
    return line;
  }

  // Without sendstep's details a status is gRPC's own, as when the server is gone.
  static bool Final(const grpc::Status& status, bool ours, bool resend) {
    if (status.ok()) return true;
    if (!ours) return false;
    switch (status.error_code()) {
      case grpc::StatusCode::UNAVAILABLE:
      case grpc::StatusCode::ABORTED:
      case grpc::StatusCode::CANCELLED:
      case grpc::StatusCode::DEADLINE_EXCEEDED:
      case grpc::StatusCode::RESOURCE_EXHAUSTED:
        return false;
      case grpc::StatusCode::DATA_LOSS:
        return !resend;
      default:
        return true;
    }
  }

  void Say(const json& line) {
    const std::string text = line.dump() + "\n";
    const std::lock_guard lock(output_);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }

  const int sink_port_;
  const std::chrono::seconds give_up_;
  const std::chrono::seconds deadline_;
  std::vector<std::unique_ptr<v1::EmailAction::Stub>> stubs_;
  std::mutex input_;
  std::mutex output_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::cerr << "usage: crash_load CALLERS SINK_PORT GIVE_UP DEADLINE TARGET...\n";
    return 2;
  }
  std::ios::sync_with_stdio(false);
  Engine engine(std::atoi(argv[2]), std::chrono::seconds(std::atoi(argv[3])),
                std::chrono::seconds(std::atoi(argv[4])),
                std::vector<std::string>(argv + 5, argv + argc));
  std::vector<std::jthread> callers;
  for (int i = 0; i < std::atoi(argv[1]); ++i) {
    callers.emplace_back([&engine, i] { engine.Run(static_cast<unsigned>(i)); });
  }
}
