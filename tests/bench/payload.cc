#include "tests/bench/payload.h"

#include <random>

namespace sendstep::bench {
namespace {

std::string Lines(size_t bytes) {
  static constexpr std::string_view kLine =
      "Your order has left our house today and will be with you in a few days.\r\n";
  std::string text;
  text.reserve(bytes + kLine.size());
  while (text.size() < bytes) text += kLine;
  text.resize(bytes);
  return text;
}

std::string Noise(size_t bytes) {
  std::mt19937_64 random(1);
  std::string noise(bytes, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  return noise;
}

v1::Email EmailOf(const PayloadOptions& options) {
  v1::Email email;
  const std::string& username = options.smtp.username();
  email.mutable_from()->set_email(username.empty() ? "shop@bench.example" : username);
  email.mutable_from()->set_name("The Shop");
  email.add_to()->set_email("customer@receiver.example");
  email.set_subject("Your order has left");
  email.set_text(Lines(options.body_bytes));
  if (options.attachment_bytes > 0) {
    v1::Attachment& file = *email.add_attachments();
    file.set_filename("invoice.pdf");
    file.set_content_type("application/pdf");
    file.set_content(Noise(options.attachment_bytes));
  }
  return email;
}

}  // namespace

Payload::Payload(const PayloadOptions& options) : options_(options) {
  std::random_device random;
  run_ = std::to_string(random()) + "-" + std::to_string(random()) + "-";
  v1::ExecuteRequest part;
  *part.mutable_email() = EmailOf(options);
  email_ = grpc::Slice(part.SerializeAsString());
  for (uint64_t i = 0; i < options.accounts; ++i) configs_.emplace_back(ConfigOf(i));
}

std::string Payload::ConfigOf(uint64_t account) const {
  v1::ExecuteRequest part;
  if (!options_.relay.empty()) {
    part.mutable_config()->set_relay(options_.relay);
  } else {
    v1::SmtpConfig& smtp = *part.mutable_config()->mutable_smtp();
    smtp = options_.smtp;
    smtp.set_domain("a" + std::to_string(account) + ".bench.example");
  }
  return part.SerializeAsString();
}

grpc::ByteBuffer Payload::Request(uint64_t number) const {
  v1::ExecuteRequest id;
  if (options_.request_ids) id.set_request_id(run_ + std::to_string(number));
  const grpc::Slice parts[] = {
      grpc::Slice(id.SerializeAsString()),
      configs_.empty() ? grpc::Slice(ConfigOf(number)) : configs_[number % configs_.size()],
      email_};
  return {parts, std::size(parts)};
}

}  // namespace sendstep::bench
