#include "clients/cli/environment.h"

#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace sendstep::cli {
namespace {

constexpr size_t kMaxSecretBytes = 64 * 1024;

volatile sig_atomic_t caught_signal = 0;
void Catch(int number) { caught_signal = number; }

// Terminal without echo for as long as it lives; a signal that would end the process waits until
// the echo is back.
class EchoOff {
 public:
  explicit EchoOff(int fd) : fd_(fd) {
    caught_signal = 0;
    struct sigaction action = {};
    action.sa_handler = Catch;  // no SA_RESTART: read() returns
    for (int i = 0; i < kSignals; ++i) sigaction(kNumbers[i], &action, &before_[i]);
    tcgetattr(fd_, &settings_);
    termios quiet = settings_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(fd_, TCSAFLUSH, &quiet);
  }
  ~EchoOff() {
    tcsetattr(fd_, TCSAFLUSH, &settings_);
    for (int i = 0; i < kSignals; ++i) sigaction(kNumbers[i], &before_[i], nullptr);
    if (caught_signal) raise(caught_signal);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  static constexpr int kSignals = 4;
  static constexpr int kNumbers[kSignals] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  int fd_;
  termios settings_ = {};
  struct sigaction before_[kSignals] = {};
};

void Say(int fd, const std::string& text) {
  [[maybe_unused]] const ssize_t written = write(fd, text.data(), text.size());
}

absl::StatusOr<std::string> AskOnTerminal(const std::string& question) {
  const int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return absl::NotFoundError("there is no terminal to ask for a password on");
  std::string line;
  Say(fd, question);
  {
    const EchoOff echo_off(fd);
    char c = 0;
    while (!caught_signal && read(fd, &c, 1) == 1 && c != '\n' && line.size() < kMaxSecretBytes) {
      line += c;
    }
  }
  Say(fd, "\n");
  close(fd);
  return line;
}

bool MayColour(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return isatty(fd) && !(no_color && *no_color) && !(term && std::strcmp(term, "dumb") == 0);
}

void RemoveLineBreak(std::string& text) {
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty() && text.back() == '\r') text.pop_back();
}

// At most one byte more than `max_bytes`, which tells "too much" from "just enough".
std::string ReadUpTo(std::istream& stream, size_t max_bytes) {
  std::string bytes;
  char block[64 * 1024];
  while (bytes.size() <= max_bytes && stream) {
    const size_t room = std::min(sizeof block, max_bytes + 1 - bytes.size());
    stream.read(block, static_cast<std::streamsize>(room));
    bytes.append(block, static_cast<size_t>(stream.gcount()));
  }
  return bytes;
}

}  // namespace

Environment ProcessEnvironment() {
  return {.in = std::cin,
          .out = std::cout,
          .err = std::cerr,
          .colour_out = MayColour(STDOUT_FILENO),
          .colour_err = MayColour(STDERR_FILENO),
          .variable = [](const std::string& name) -> std::optional<std::string> {
            const char* value = std::getenv(name.c_str());
            if (!value) return std::nullopt;
            return value;
          },
          .ask_secret = AskOnTerminal};
}

absl::StatusOr<std::string> ReadFile(Environment& environment, const std::string& path,
                                     const std::string& what, size_t max_bytes) {
  std::string bytes;
  if (path == "-") {
    bytes = ReadUpTo(environment.in, max_bytes);
  } else {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
      return absl::NotFoundError(what + " " + path + ": is a folder");
    }
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) return absl::NotFoundError(what + " " + path + ": " + std::strerror(errno));
    bytes = ReadUpTo(file, max_bytes);
    if (file.bad()) return absl::NotFoundError(what + " " + path + ": cannot be read");
  }
  if (bytes.size() > max_bytes) {
    return absl::InvalidArgumentError(what + " " + path + ": larger than " +
                                      std::to_string(max_bytes) + " bytes");
  }
  return bytes;
}

absl::StatusOr<std::string> ReadSecretFile(Environment& environment, const std::string& path,
                                           const std::string& what) {
  absl::StatusOr<std::string> secret = ReadFile(environment, path, what, kMaxSecretBytes);
  if (!secret.ok()) return secret;
  RemoveLineBreak(*secret);
  if (secret->empty()) return absl::NotFoundError(what + " " + path + ": is empty");
  return secret;
}

absl::StatusOr<std::string> ReadSecretVariable(const Environment& environment,
                                               const std::string& name, const std::string& what) {
  std::optional<std::string> value = environment.variable(name);
  if (!value) return absl::NotFoundError(what + ": environment variable " + name + " is not set");
  if (value->empty())
    return absl::NotFoundError(what + ": environment variable " + name + " is empty");
  return *std::move(value);
}

}  // namespace sendstep::cli
