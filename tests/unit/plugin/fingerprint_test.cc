#include "plugin/fingerprint.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace sendstep::plugin {
namespace {

const KeyedDigest kKey(base::Secret("key"));

base::Address At(const char* text) { return *base::ParseAddress(text); }

SendCommand Command() {
  SendCommand command;
  command.message.from = {At("me@example.com"), "Me"};
  command.message.to = {{At("a@example.org"), "A"}, {At("b@example.org"), "B"}};
  command.message.subject = "Subject";
  command.message.text = "Text";
  command.message.attachments = {{"f.txt", "text/plain", "content", "id"}};
  command.message.headers = {{"X-A", "1"}};
  command.envelope.sender = At("me@example.com");
  command.envelope.recipients = {At("a@example.org"), At("b@example.org")};
  command.recipient_names = {"a@example.org", "b@example.org"};
  command.request_id = "r1";
  return command;
}

using Edit = std::function<void(SendCommand&)>;

std::string After(const Edit& edit) {
  SendCommand command = Command();
  edit(command);
  return Fingerprint(kKey, command);
}

TEST(FingerprintTest, TheSameEmailAlwaysHasTheSame) {
  EXPECT_EQ(Fingerprint(kKey, Command()), Fingerprint(kKey, Command()));
  EXPECT_EQ(Fingerprint(kKey, Command()).size(), 32u);
}

TEST(FingerprintTest, DependsOnTheKey) {
  EXPECT_NE(Fingerprint(kKey, Command()),
            Fingerprint(KeyedDigest(base::Secret("another")), Command()));
}

TEST(FingerprintTest, EverythingThatReadersSeeTellsEmailsApart) {
  const Edit edits[] = {
      [](SendCommand&) {},
      [](SendCommand& c) { c.message.from.name = "You"; },
      [](SendCommand& c) { c.message.from.address = At("you@example.com"); },
      [](SendCommand& c) { std::swap(c.message.to[0], c.message.to[1]); },
      [](SendCommand& c) { c.message.to[1].name = "C"; },
      [](SendCommand& c) { c.message.cc.push_back(c.message.to[1]); },
      [](SendCommand& c) {
        c.message.cc.push_back(c.message.to[1]);
        c.message.to.pop_back();
      },
      [](SendCommand& c) { c.message.reply_to.push_back(c.message.from); },
      [](SendCommand& c) { c.message.subject = "Other"; },
      [](SendCommand& c) { c.message.text = "Other"; },
      [](SendCommand& c) { std::swap(c.message.text, c.message.html); },
      [](SendCommand& c) { c.message.attachments[0].filename = "g.txt"; },
      [](SendCommand& c) { c.message.attachments[0].content_type = "text/html"; },
      [](SendCommand& c) { c.message.attachments[0].content = "Content"; },
      [](SendCommand& c) { c.message.attachments[0].content_id = "ie"; },
      [](SendCommand& c) { c.message.attachments.push_back(c.message.attachments[0]); },
      [](SendCommand& c) { c.message.headers[0].name = "X-B"; },
      [](SendCommand& c) { c.message.headers[0].value = "2"; },
      [](SendCommand& c) { c.message.in_reply_to = "<i@example.com>"; },
      [](SendCommand& c) { c.message.references = {"<i@example.com>"}; },
      [](SendCommand& c) { c.message.sender = c.message.from; },
      [](SendCommand& c) { c.message.unsubscribe.emplace(); },
      [](SendCommand& c) {
        c.message.unsubscribe = {"https://example.com", {}, false};
      },
      [](SendCommand& c) {
        c.message.unsubscribe = {"https://example.com", {}, true};
      },
      [](SendCommand& c) {
        c.message.unsubscribe = {"", At("leave@example.com"), false};
      },
      [](SendCommand& c) { c.message.priority = mime::Priority::kHigh; },
      [](SendCommand& c) { c.message.priority = mime::Priority::kLow; },
      [](SendCommand& c) { c.envelope.sender = At("bounces@example.com"); },
      [](SendCommand& c) { c.message.calendar = "BEGIN:VCALENDAR"; },
      [](SendCommand& c) { c.envelope.dsn.emplace(); },
      [](SendCommand& c) { c.envelope.dsn.emplace().notify = smtp::Dsn::kSuccess; },
      [](SendCommand& c) { c.envelope.dsn.emplace().content = smtp::Dsn::Return::kFull; },
      [](SendCommand& c) { c.envelope.dsn.emplace().envelope_id = "1"; },
      [](SendCommand& c) { c.envelope.require_tls = true; },
      [](SendCommand& c) { c.envelope.sender.reset(); },
      [](SendCommand& c) { c.envelope.recipients.push_back(At("hidden@example.org")); },
      [](SendCommand& c) { std::swap(c.envelope.recipients[0], c.envelope.recipients[1]); }};
  std::set<std::string> all;
  for (const Edit& edit : edits) all.insert(After(edit));
  EXPECT_EQ(all.size(), std::size(edits));
}

TEST(FingerprintTest, SettingsCredentialsAndFlagsHaveNoPart) {
  const Edit edits[] = {[](SendCommand& c) { c.account.relay = "relay"; },
                        [](SendCommand& c) { c.account.resolved.settings.host = "mx.example"; },
                        [](SendCommand& c) {
                          c.account.resolved.settings.credentials.emplace().password =
                              base::Secret("password");
                        },
                        [](SendCommand& c) { c.request_id = "r2"; },
                        [](SendCommand& c) { c.recipient_names[0] = "A@example.org"; },
                        [](SendCommand& c) { c.all_or_nothing = true; },
                        [](SendCommand& c) { c.resend_on_uncertain = true; }};
  for (const Edit& edit : edits) EXPECT_EQ(After(edit), Fingerprint(kKey, Command()));
}

}  // namespace
}  // namespace sendstep::plugin
