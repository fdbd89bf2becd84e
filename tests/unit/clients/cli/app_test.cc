// The whole command against an EmailAction service inside the test.
#include "clients/cli/app.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "clients/cli/failure.h"
#include "plugin/status_details.h"
#include "protos/sendstep/v1/email_action.grpc.pb.h"
#include "tests/unit/clients/cli/cli_test_support.h"

namespace sendstep::cli {
namespace {

using grpc::ServerContext;
using grpc::Status;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Answers what the test put into it and keeps what it was asked.
struct FakeService final : v1::EmailAction::Service {
  Status status;
  v1::ExecuteRequest execute_request;
  v1::ExecuteResponse execute_response;
  v1::TestSendRequest test_request;
  v1::TestSendResponse test_response;
  v1::ValidateConfigRequest validate_request;
  v1::ValidateConfigResponse validate_response;
  v1::DescribeResponse describe_response;
  v1::GetExecutionRequest get_request;
  v1::Execution execution;
  v1::ResolveExecutionRequest resolve_request;
  std::vector<v1::ListExecutionsRequest> list_requests;
  int listed = 0;  // that ListExecutions has; a page token is the number of those before

  Status Execute(ServerContext*, const v1::ExecuteRequest* request,
                 v1::ExecuteResponse* response) override {
    execute_request = *request;
    *response = execute_response;
    return status;
  }
  Status TestSend(ServerContext*, const v1::TestSendRequest* request,
                  v1::TestSendResponse* response) override {
    test_request = *request;
    *response = test_response;
    return status;
  }
  Status ValidateConfig(ServerContext*, const v1::ValidateConfigRequest* request,
                        v1::ValidateConfigResponse* response) override {
    validate_request = *request;
    *response = validate_response;
    return status;
  }
  Status Describe(ServerContext*, const v1::DescribeRequest*,
                  v1::DescribeResponse* response) override {
    *response = describe_response;
    return status;
  }
  Status GetExecution(ServerContext*, const v1::GetExecutionRequest* request,
                      v1::GetExecutionResponse* response) override {
    get_request = *request;
    *response->mutable_execution() = execution;
    return status;
  }
  Status ResolveExecution(ServerContext*, const v1::ResolveExecutionRequest* request,
                          v1::ResolveExecutionResponse* response) override {
    resolve_request = *request;
    *response->mutable_execution() = execution;
    return status;
  }
  Status ListExecutions(ServerContext*, const v1::ListExecutionsRequest* request,
                        v1::ListExecutionsResponse* response) override {
    list_requests.push_back(*request);
    int at = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    const int end = std::min(listed, at + static_cast<int>(request->page_size()));
    for (; at < end; ++at) response->add_executions()->set_request_id(std::to_string(at));
    if (end < listed) response->set_next_page_token(std::to_string(end));
    return status;
  }
};

class AppTest : public ::testing::Test {
 protected:
  AppTest() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.AddListeningPort("unix:" + (folder_.path() / "socket").string(),
                             grpc::InsecureServerCredentials());
    builder.SetMaxReceiveMessageSize(40 * 1024 * 1024);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    process_.variables["SENDSTEP_SERVER"] = "127.0.0.1:" + std::to_string(port);
    service_.execute_response.set_outcome(v1::OUTCOME_SENT);
  }
  ~AppTest() override { server_->Shutdown(); }

  void Fail(grpc::StatusCode code, const std::string& reason) {
    plugin::Details details;
    details.reason = reason;
    details.metadata = {{"fault", "CONFIG"}, {"retryable", "false"}, {"what_to_do", "Mend it."}};
    service_.status = plugin::MakeStatus(code, "it failed", details);
  }
  nlohmann::json Json() const { return nlohmann::json::parse(process_.out.str()); }

  TempFolder folder_;
  FakeService service_;
  std::unique_ptr<grpc::Server> server_;
  FakeProcess process_;
};

TEST_F(AppTest, SendPassesTheStepAndPrintsTheOutcome) {
  process_.variables["PW"] = "s3cret";
  auto& answer = service_.execute_response;
  answer.set_request_id("echoed");
  answer.add_recipients()->set_email("bob@example.com");
  EXPECT_EQ(process_.Run({"send", "--host", "mail.example.com", "--username", "u", "--password-env",
                          "PW", "--to", "bob@example.com", "--text", "hi"}),
            0);
  EXPECT_EQ(service_.execute_request.config().smtp().password().value(), "s3cret");
  EXPECT_EQ(service_.execute_request.email().to(0).email(), "bob@example.com");
  EXPECT_EQ(service_.execute_request.request_id().size(), 36u);
  EXPECT_THAT(process_.out.str(), HasSubstr("sent to 1 recipient\n"));
  EXPECT_THAT(process_.out.str(), HasSubstr("request id  echoed\n"));
  EXPECT_EQ(process_.err.str(), "");
}

TEST_F(AppTest, SendKeepsAGivenRequestId) {
  EXPECT_EQ(process_.Run({"send", "--request-id", "run-1"}), 0);
  EXPECT_EQ(service_.execute_request.request_id(), "run-1");
}

TEST_F(AppTest, SendExitCodesFollowTheOutcome) {
  service_.execute_response.set_outcome(v1::OUTCOME_PARTIALLY_SENT);
  EXPECT_EQ(process_.Run({"send"}), 6);
  Fail(grpc::StatusCode::INVALID_ARGUMENT, "FIELD_REQUIRED");
  EXPECT_EQ(process_.Run({"send"}), 3);
  Fail(grpc::StatusCode::FAILED_PRECONDITION, "AUTH_REFUSED");
  EXPECT_EQ(process_.Run({"send"}), 4);
  Fail(grpc::StatusCode::UNAVAILABLE, "TIMEOUT");
  EXPECT_EQ(process_.Run({"send"}), 5);
  Fail(grpc::StatusCode::DATA_LOSS, "DELIVERY_UNCERTAIN");
  EXPECT_EQ(process_.Run({"send"}), 7);
  Fail(grpc::StatusCode::INTERNAL, "INTERNAL");
  EXPECT_EQ(process_.Run({"send"}), 1);
}

TEST_F(AppTest, AFailureIsExplainedOnStderr) {
  Fail(grpc::StatusCode::FAILED_PRECONDITION, "AUTH_REFUSED");
  EXPECT_EQ(process_.Run({"send", "--request-id", "run-1"}), 4);
  EXPECT_EQ(process_.out.str(), "");
  EXPECT_THAT(process_.err.str(), HasSubstr("not sent: it failed\n"));
  EXPECT_THAT(process_.err.str(), HasSubstr("what to do  Mend it.\n"));
  EXPECT_THAT(process_.err.str(), HasSubstr("request id  run-1\n"));
}

TEST_F(AppTest, AFailedSendNamesTheCommandThatTriesAgain) {
  plugin::Details details;
  details.reason = "TIMEOUT";
  details.metadata = {{"retryable", "true"}};
  details.retry_after = std::chrono::seconds(60);
  service_.status = plugin::MakeStatus(grpc::StatusCode::UNAVAILABLE, "too slow", details);
  EXPECT_EQ(process_.Run({"send"}), 5);
  const std::string id = service_.execute_request.request_id();
  EXPECT_THAT(process_.err.str(),
              HasSubstr("yes, in 60.0 s: the same command with --request-id " + id + "\n"));
  process_.err.str("");
  EXPECT_EQ(process_.Run({"test", "--request-id", "run-1"}), 5);
  EXPECT_THAT(process_.err.str(), HasSubstr("yes, in 60.0 s\n"));
}

TEST_F(AppTest, AnUncertainSendNamesTheCommandsThatLookAndSettle) {
  plugin::Details details;
  details.reason = "DELIVERY_UNCERTAIN";
  details.metadata = {{"retryable", "uncertain"}};
  service_.status = plugin::MakeStatus(grpc::StatusCode::DATA_LOSS, "nobody knows", details);
  EXPECT_EQ(process_.Run({"send", "--request-id", "run-1"}), 7);
  for (const char* command : {"sendstep get run-1\n", "sendstep resolve run-1 --sent\n",
                              "sendstep resolve run-1 --not-sent, then the same command",
                              "with --request-id run-1 --resend-on-uncertain\n"}) {
    EXPECT_THAT(process_.err.str(), HasSubstr(command));
  }
}

TEST_F(AppTest, SendTakesThePolicyAndTheWishToResend) {
  EXPECT_EQ(process_.Run({"send"}), 0);
  EXPECT_EQ(service_.execute_request.delivery(), v1::DELIVERY_POLICY_UNSPECIFIED);
  EXPECT_FALSE(service_.execute_request.resend_on_uncertain());
  EXPECT_EQ(process_.Run({"send", "--all-or-nothing", "--resend-on-uncertain"}), 0);
  EXPECT_EQ(service_.execute_request.delivery(), v1::DELIVERY_POLICY_ALL_OR_NOTHING);
  EXPECT_TRUE(service_.execute_request.resend_on_uncertain());
}

TEST_F(AppTest, GetExitsAsTheSendOfTheEmail) {
  service_.execution.set_request_id("run-1");
  const std::pair<v1::ExecutionState, int> table[] = {
      {v1::EXECUTION_STATE_RESERVED, 5},   {v1::EXECUTION_STATE_COMMITTING, 5},
      {v1::EXECUTION_STATE_PENDING, 5},    {v1::EXECUTION_STATE_FAILED, 5},
      {v1::EXECUTION_STATE_SENT, 0},       {v1::EXECUTION_STATE_UNCERTAIN, 7},
      {v1::EXECUTION_STATE_UNSPECIFIED, 1}};
  for (const auto& [state, code] : table) {
    service_.execution.set_state(state);
    EXPECT_EQ(process_.Run({"get", "run-1"}), code) << state;
  }
  EXPECT_EQ(service_.get_request.request_id(), "run-1");
  EXPECT_THAT(process_.out.str(), HasSubstr("  request id  run-1\n"));
  service_.execution.set_state(v1::EXECUTION_STATE_SENT);
  service_.execution.add_recipients()->set_status(v1::RECIPIENT_STATUS_ACCEPTED);
  EXPECT_EQ(process_.Run({"get", "run-1"}), 0);
  service_.execution.add_recipients()->set_status(v1::RECIPIENT_STATUS_REJECTED);
  process_.out.str("");
  EXPECT_EQ(process_.Run({"get", "run-1", "--json"}), 6);
  EXPECT_EQ(Json()["execution"]["state"], "EXECUTION_STATE_SENT");
}

TEST_F(AppTest, GetOfNothingIsSomethingThatIsNotThere) {
  Fail(grpc::StatusCode::NOT_FOUND, "EXECUTION_NOT_FOUND");
  EXPECT_EQ(process_.Run({"get", "run-1"}), 2);
  EXPECT_THAT(process_.err.str(), StartsWith("nothing known: it failed\n"));
  EXPECT_THAT(process_.err.str(), HasSubstr("request id  run-1\n"));
  EXPECT_EQ(process_.Run({"get", "a\xff"}), 3);
}

TEST_F(AppTest, ResolveSaysWhatBecameOfTheEmail) {
  service_.execution.set_state(v1::EXECUTION_STATE_FAILED);
  EXPECT_EQ(process_.Run({"resolve", "run-1", "--not-sent"}), 0);
  EXPECT_EQ(service_.resolve_request.request_id(), "run-1");
  EXPECT_EQ(service_.resolve_request.resolution(), v1::RESOLUTION_NOT_SENT);
  EXPECT_THAT(process_.out.str(), StartsWith("not sent: nobody has it\n"));
  EXPECT_EQ(process_.Run({"resolve", "--sent", "run-2"}), 0);
  EXPECT_EQ(service_.resolve_request.request_id(), "run-2");
  EXPECT_EQ(service_.resolve_request.resolution(), v1::RESOLUTION_SENT);
  Fail(grpc::StatusCode::FAILED_PRECONDITION, "NOT_UNCERTAIN");
  EXPECT_EQ(process_.Run({"resolve", "run-1", "--sent"}), 4);
  EXPECT_THAT(process_.err.str(), StartsWith("not resolved: it failed\n"));
}

TEST_F(AppTest, ListReadsPagesUpToItsLimit) {
  service_.listed = 2500;
  EXPECT_EQ(process_.Run({"list", "--limit", "2100", "--json"}), 0);
  ASSERT_EQ(service_.list_requests.size(), 3u);
  EXPECT_EQ(service_.list_requests[0].page_size(), 1000u);
  EXPECT_EQ(service_.list_requests[2].page_size(), 100u);
  EXPECT_EQ(service_.list_requests[2].page_token(), "2000");
  EXPECT_EQ(Json()["executions"].size(), 2100u);
  EXPECT_EQ(Json()["executions"][2099]["requestId"], "2099");
  EXPECT_EQ(Json()["nextPageToken"], "2100");
  EXPECT_EQ(process_.Run({"list"}), 0);
  EXPECT_EQ(service_.list_requests.size(), 4u);
  EXPECT_EQ(service_.list_requests[3].page_size(), 100u);
  EXPECT_THAT(process_.err.str(), StartsWith("there are more"));
}

TEST_F(AppTest, ListOfNothingIsNoFailure) {
  EXPECT_EQ(process_.Run({"list"}), 0);
  EXPECT_EQ(process_.out.str(), "");
  EXPECT_EQ(process_.err.str(), "none\n");
  EXPECT_EQ(process_.Run({"list", "--json"}), 0);
  EXPECT_TRUE(Json()["executions"].empty());
}

TEST_F(AppTest, ListAsksForStateAndTime) {
  const int64_t before = google::protobuf::util::TimeUtil::GetCurrentTime().seconds();
  EXPECT_EQ(process_.Run({"list", "--state", "Uncertain", "--since", "2h", "--until",
                          "2026-05-01T09:00:00Z"}),
            0);
  const int64_t after = google::protobuf::util::TimeUtil::GetCurrentTime().seconds();
  const v1::ListExecutionsRequest& request = service_.list_requests.at(0);
  EXPECT_EQ(request.state(), v1::EXECUTION_STATE_UNCERTAIN);
  EXPECT_GE(request.updated_from().seconds(), before - 7200);
  EXPECT_LE(request.updated_from().seconds(), after - 7200);
  EXPECT_EQ(request.updated_until().seconds(), 1777626000);
  EXPECT_EQ(process_.Run({"list"}), 0);
  EXPECT_EQ(service_.list_requests.at(1).state(), v1::EXECUTION_STATE_UNSPECIFIED);
  EXPECT_FALSE(service_.list_requests.at(1).has_updated_from());
}

TEST_F(AppTest, JsonOfAnAnswerIsTheMessage) {
  service_.execute_response.set_message_id("<m@example.com>");
  EXPECT_EQ(process_.Run({"--json", "send"}), 0);
  EXPECT_EQ(Json()["outcome"], "OUTCOME_SENT");
  EXPECT_EQ(Json()["messageId"], "<m@example.com>");
}

TEST_F(AppTest, JsonOfAFailureIsOnStdoutToo) {
  Fail(grpc::StatusCode::INVALID_ARGUMENT, "FIELD_REQUIRED");
  EXPECT_EQ(process_.Run({"send", "--json", "--request-id", "r"}), 3);
  EXPECT_EQ(Json()["code"], "INVALID_ARGUMENT");
  EXPECT_EQ(Json()["reason"], "FIELD_REQUIRED");
  EXPECT_EQ(Json()["metadata"]["fault"], "CONFIG");
  EXPECT_EQ(Json()["requestId"], "r");
  EXPECT_EQ(process_.err.str(), "");
}

TEST_F(AppTest, TestShowsTheTimelineAndExitsByTheFailure) {
  auto& answer = service_.test_response;
  answer.set_verdict("No.");
  auto* check = answer.add_checks();
  check->set_stage(v1::STAGE_DNS);
  check->set_status(v1::CHECK_STATUS_FAIL);
  answer.mutable_failure()->set_retryable(v1::RETRYABLE_TRUE);
  answer.add_transcript("C: QUIT");
  EXPECT_EQ(process_.Run({"test", "--provider", "sandbox", "--to", "a@b.c", "--transcript"}), 5);
  EXPECT_EQ(service_.test_request.to(0).email(), "a@b.c");
  EXPECT_FALSE(service_.test_request.has_email());
  EXPECT_THAT(process_.out.str(), HasSubstr("  dns  FAIL\n"));
  EXPECT_THAT(process_.out.str(), HasSubstr("not accepted: No.\n"));
  EXPECT_THAT(process_.out.str(), HasSubstr("C: QUIT"));
  answer.mutable_failure()->set_retryable(v1::RETRYABLE_FALSE);
  EXPECT_EQ(process_.Run({"test"}), 4);
  answer.mutable_failure()->set_retryable(v1::RETRYABLE_UNCERTAIN);
  EXPECT_EQ(process_.Run({"test"}), 7);
  answer.clear_failure();
  EXPECT_EQ(process_.Run({"test"}), 3);
  answer.set_accepted(true);
  EXPECT_EQ(process_.Run({"test"}), 0);
  answer.mutable_result()->set_outcome(v1::OUTCOME_PARTIALLY_SENT);
  EXPECT_EQ(process_.Run({"test"}), 6);
}

TEST_F(AppTest, ValidateExitsByTheVerdict) {
  EXPECT_EQ(process_.Run({"validate", "--provider", "gmail", "--depth", "sender"}), 3);
  EXPECT_EQ(service_.validate_request.depth(), v1::VALIDATE_DEPTH_SENDER);
  EXPECT_EQ(process_.out.str(), "not valid\n");
  service_.validate_response.set_valid(true);
  EXPECT_EQ(process_.Run({"validate"}), 0);
  EXPECT_EQ(service_.validate_request.depth(), v1::VALIDATE_DEPTH_STATIC);
  process_.out.str("");
  service_.validate_response.set_valid(false);
  EXPECT_EQ(process_.Run({"validate", "--json"}), 3);
  EXPECT_EQ(Json()["valid"], false);
}

TEST_F(AppTest, DescribePrintsServerOrSchema) {
  service_.describe_response.set_name("sendstep");
  service_.describe_response.set_config_schema("{\"type\": \"object\"}");
  EXPECT_EQ(process_.Run({"describe"}), 0);
  EXPECT_THAT(process_.out.str(), HasSubstr("sendstep"));
  process_.out.str("");
  EXPECT_EQ(process_.Run({"describe", "--schema"}), 0);
  EXPECT_EQ(Json()["type"], "object");
}

TEST_F(AppTest, ProvidersListsAllOrShowsOneByItsAlias) {
  auto* provider = service_.describe_response.add_providers();
  provider->set_id("mandrill");
  provider->add_aliases("mailchimp");
  EXPECT_EQ(process_.Run({"providers"}), 0);
  EXPECT_THAT(process_.out.str(), HasSubstr("mandrill"));
  process_.out.str("");
  EXPECT_EQ(process_.Run({"providers", "mailchimp", "--json"}), 0);
  EXPECT_EQ(Json()["id"], "mandrill");
}

TEST_F(AppTest, AProviderThatIsNotThereIsTakenForTheNearest) {
  service_.describe_response.add_providers()->set_id("gmail");
  auto* provider = service_.describe_response.add_providers();
  provider->set_id("mandrill");
  provider->add_aliases("mailchimp");
  EXPECT_EQ(process_.Run({"providers", "gmial"}), 2);
  EXPECT_THAT(process_.err.str(), HasSubstr("no provider \"gmial\"; did you mean \"gmail\"?"));
  EXPECT_EQ(process_.Run({"providers", "MailChump"}), 2);
  EXPECT_THAT(process_.err.str(), HasSubstr("did you mean \"mailchimp\"?"));
  process_.err.str("");
  EXPECT_EQ(process_.Run({"providers", "xyz"}), 2);
  EXPECT_THAT(process_.err.str(), HasSubstr("see: sendstep providers"));
}

TEST_F(AppTest, InboxAsksTheServerWhereItsMailIs) {
  EXPECT_EQ(process_.Run({"inbox", "list"}), 2);
  EXPECT_THAT(process_.err.str(), HasSubstr("keeps no sandbox"));
  folder_.Write("mail/new/1.a.b", "Subject: hello\r\n\r\n");
  service_.describe_response.mutable_sandbox()->set_maildir((folder_.path() / "mail").string());
  EXPECT_EQ(process_.Run({"inbox", "list"}), 0);
  EXPECT_THAT(process_.out.str(), HasSubstr("hello"));
}

TEST_F(AppTest, AUnixSocketIsAServerToo) {
  EXPECT_EQ(process_.Run({"describe", "--server", "unix:" + (folder_.path() / "socket").string()}),
            0);
}

TEST_F(AppTest, LargeMessagesPass) {
  const std::string text(30 * 1024 * 1024, 'x');
  service_.execute_response.set_message_id(text);
  const std::string file = folder_.Write("big.txt", text);
  EXPECT_EQ(process_.Run({"send", "--attach", file}), 0);
  EXPECT_EQ(service_.execute_request.email().attachments(0).content().size(), text.size());
}

TEST_F(AppTest, NoServerIsToldFromAFailure) {
  const std::string nowhere = "unix:" + (folder_.path() / "nobody").string();
  for (const char* verb : {"send", "test", "validate", "describe", "providers", "list"}) {
    EXPECT_EQ(process_.Run({verb, "--server", nowhere}), 8) << verb;
  }
  EXPECT_THAT(process_.err.str(), HasSubstr("no sendstep server answers at " + nowhere));
  EXPECT_EQ(process_.Run({"send", "--json", "--server", nowhere}), 8);
  EXPECT_EQ(Json()["code"], "UNAVAILABLE");
}

TEST_F(AppTest, AnAnswerThatNeverCameIsUncertain) {
  service_.status = Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  EXPECT_EQ(process_.Run({"send"}), 7);
  EXPECT_THAT(process_.err.str(), StartsWith("uncertain: "));
  EXPECT_THAT(process_.err.str(), HasSubstr("may have been sent"));
  EXPECT_EQ(process_.Run({"validate"}), 8);
}

TEST_F(AppTest, SecretsAreNeverTakenFromTheCommandLine) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"send", "--password", "hunter2"},
        std::vector<std::string>{"test", "--password=hunter2", "--to", "a@b.c"},
        std::vector<std::string>{"validate", "--oauth2-token", "hunter2"}}) {
    EXPECT_EQ(process_.Run(arguments), 2);
  }
  EXPECT_THAT(process_.err.str(), HasSubstr("use --password-env, --password-file"));
  EXPECT_THAT(process_.err.str() + process_.out.str(), Not(HasSubstr("hunter2")));
}

TEST_F(AppTest, AnUnreadableWayForASecretIsWarnedOf) {
  process_.variables["SENDSTEP_PASSWORD"] = "s3cret";
  EXPECT_EQ(process_.Run({"send", "--username", "u", "--server", "0.0.0.0:1"}), 8);
  EXPECT_THAT(process_.err.str(), HasSubstr("is not encrypted"));
  EXPECT_THAT(process_.err.str(), Not(HasSubstr("s3cret")));
}

TEST_F(AppTest, WrongCommandLinesAreUsageErrors) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{},
        std::vector<std::string>{"fly"},
        std::vector<std::string>{"send", "--colour", "red"},
        std::vector<std::string>{"send", "--tls", "maybe"},
        std::vector<std::string>{"send", "--relay", "ops", "--host", "h"},
        std::vector<std::string>{"send", "--relay", "ops", "--password-prompt"},
        std::vector<std::string>{"send", "--password-env", "A", "--password-file", "B"},
        std::vector<std::string>{"send", "--text", "a", "--text-file", "b"},
        std::vector<std::string>{"send", "--attach", "/not/there"},
        std::vector<std::string>{"send", "--server", "nowhere"},
        std::vector<std::string>{"send", "--timeout", "0"},
        std::vector<std::string>{"validate", "--depth", "deep"},
        std::vector<std::string>{"get"},
        std::vector<std::string>{"resolve", "run-1"},
        std::vector<std::string>{"resolve", "--sent"},
        std::vector<std::string>{"resolve", "run-1", "--sent", "--not-sent"},
        std::vector<std::string>{"list", "--state", "lost"},
        std::vector<std::string>{"list", "--since", "yesterday"},
        std::vector<std::string>{"list", "--limit", "0"},
        std::vector<std::string>{"list", "--limit", "10001"},
        std::vector<std::string>{"test", "--all-or-nothing"},
        std::vector<std::string>{"inbox"}}) {
    EXPECT_EQ(process_.Run(arguments), 2) << ::testing::PrintToString(arguments);
  }
}

TEST_F(AppTest, ACommandThatIsNotThereIsNamed) {
  EXPECT_EQ(process_.Run({"bogus", "--text", "x"}), 2);
  EXPECT_THAT(process_.err.str(), StartsWith("there is no command \"bogus\"\n"));
  process_.err.str("");
  EXPECT_EQ(process_.Run({"inbox", "bogus"}), 2);
  EXPECT_THAT(process_.err.str(), StartsWith("there is no command \"bogus\"\n"));
  process_.err.str("");
  EXPECT_EQ(process_.Run({"--password", "hunter2"}), 2);
  EXPECT_THAT(process_.err.str(), Not(HasSubstr("hunter2")));
}

TEST_F(AppTest, TextThatIsNotUtf8IsInvalidInputAndNeverSent) {
  EXPECT_EQ(process_.Run({"send", "--subject", "a\xff"}), 3);
  EXPECT_EQ(process_.err.str(), "not sent: email.subject is not UTF-8 text\n");
  EXPECT_EQ(service_.execute_request.request_id(), "");
}

TEST_F(AppTest, AMalformedStepFileIsInvalidInput) {
  const std::string step = folder_.Write("step.yaml", "email:\n  sbject: x\n");
  EXPECT_EQ(process_.Run({"send", "--step", step}), 3);
  EXPECT_THAT(process_.err.str(), HasSubstr("step.yaml:2: email: unknown field \"sbject\""));
}

TEST_F(AppTest, HelpShowsTheExitCodes) {
  EXPECT_EQ(process_.Run({"--help"}), 0);
  EXPECT_THAT(process_.out.str(), HasSubstr(kExitCodesHelp));
  EXPECT_EQ(process_.Run({"send", "--help"}), 0);
  EXPECT_THAT(process_.out.str(), Not(HasSubstr("--password TEXT")));
  EXPECT_EQ(process_.Run({"--version"}), 0);
}

}  // namespace
}  // namespace sendstep::cli
