// A run of the command line inside the test: its streams, variables and typed password.
#ifndef SENDSTEP_TESTS_UNIT_CLIENTS_CLI_CLI_TEST_SUPPORT_H_
#define SENDSTEP_TESTS_UNIT_CLIENTS_CLI_CLI_TEST_SUPPORT_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "clients/cli/app.h"
#include "clients/cli/environment.h"

namespace sendstep::cli {

// A folder that goes with the test.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sendstep-cli-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string Write(const std::string& name, const std::string& content) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file.string();
  }

 private:
  std::filesystem::path path_;
};

// What a command sees, kept in memory.
struct FakeProcess {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  std::map<std::string, std::string> variables;
  std::optional<std::string> typed;  // nothing: there is no terminal

  Environment environment() {
    return {.in = in,
            .out = out,
            .err = err,
            .variable = [this](const std::string& name) -> std::optional<std::string> {
              const auto found = variables.find(name);
              if (found == variables.end()) return std::nullopt;
              return found->second;
            },
            .ask_secret = [this](const std::string&) -> absl::StatusOr<std::string> {
              if (!typed) return absl::NotFoundError("there is no terminal");
              return *typed;
            }};
  }

  // Runs "sendstep <arguments>"; the exit code.
  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "sendstep");
    std::vector<const char*> argv;
    for (const auto& a : arguments) argv.push_back(a.c_str());
    Environment seen = environment();
    return RunApp(static_cast<int>(argv.size()), argv.data(), seen);
  }
};

}  // namespace sendstep::cli

#endif  // SENDSTEP_TESTS_UNIT_CLIENTS_CLI_CLI_TEST_SUPPORT_H_
