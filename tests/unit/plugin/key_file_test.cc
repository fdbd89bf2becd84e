#include "plugin/key_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace sendstep::plugin {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

class KeyFileTest : public testing::Test {
 protected:
  KeyFileTest() {
    std::string name = (fs::temp_directory_path() / "key_file_test.XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    file_ = folder_ / "message-id.key";
  }
  ~KeyFileTest() override { fs::remove_all(folder_); }

  void Write(const std::string& bytes, fs::perms mode) const {
    std::ofstream(file_, std::ios::binary) << bytes;
    fs::permissions(file_, mode);
  }

  std::string Refusal() const {
    const auto key = LoadOrMakeKey(file_);
    EXPECT_EQ(key.status().code(), absl::StatusCode::kFailedPrecondition) << key.status();
    return std::string(key.status().message());
  }

  fs::path folder_;
  fs::path file_;
};

constexpr fs::perms kOwnerOnly = fs::perms::owner_read | fs::perms::owner_write;

TEST_F(KeyFileTest, NewKeyHas32BytesAndOnlyItsOwnerReadsIt) {
  const auto key = LoadOrMakeKey(file_);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->Reveal().size(), kKeyBytes);
  EXPECT_EQ(fs::status(file_).permissions(), kOwnerOnly);
  EXPECT_EQ(fs::file_size(file_), kKeyBytes);
}

TEST_F(KeyFileTest, KeyStaysTheSame) {
  const auto first = LoadOrMakeKey(file_);
  const auto second = LoadOrMakeKey(file_);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->Reveal(), second->Reveal());
}

TEST_F(KeyFileTest, TwoKeysDiffer) {
  const auto one = LoadOrMakeKey(file_);
  const auto other = LoadOrMakeKey(folder_ / "other.key");
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_NE(one->Reveal(), other->Reveal());
}

TEST_F(KeyFileTest, AllWhoStartAtOnceGetTheSameKeyAndLeaveNothingElse) {
  std::vector<std::string> keys(16);
  {
    std::vector<std::jthread> threads;
    for (std::string& key : keys) {
      threads.emplace_back([this, &key] {
        const auto loaded = LoadOrMakeKey(file_);
        if (loaded.ok()) key = loaded->Reveal();
      });
    }
  }
  EXPECT_THAT(std::set<std::string>(keys.begin(), keys.end()), SizeIs(1));
  EXPECT_THAT(keys[0], SizeIs(kKeyBytes));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(KeyFileTest, ShortKeyIsRefused) {
  Write(std::string(31, 'k'), kOwnerOnly);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr(file_.string()), HasSubstr("32 bytes")));
}

TEST_F(KeyFileTest, LongKeyIsRefused) {
  Write(std::string(33, 'k'), kOwnerOnly);
  EXPECT_THAT(Refusal(), HasSubstr("32 bytes"));
}

TEST_F(KeyFileTest, KeyThatItsGroupReadsIsRefused) {
  Write(std::string(32, 'k'), kOwnerOnly | fs::perms::group_read);
  EXPECT_THAT(Refusal(), HasSubstr("chmod 600"));
}

TEST_F(KeyFileTest, FolderInThePlaceOfTheKeyIsRefused) {
  fs::create_directory(file_);
  EXPECT_THAT(Refusal(), HasSubstr("not a regular file"));
}

TEST_F(KeyFileTest, PipeInThePlaceOfTheKeyDoesNotBlock) {
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  EXPECT_THAT(Refusal(), HasSubstr("not a regular file"));
}

TEST_F(KeyFileTest, MissingFolderIsNamed) {
  const auto key = LoadOrMakeKey(folder_ / "missing" / "key");
  EXPECT_THAT(std::string(key.status().message()),
              AllOf(HasSubstr("missing"), HasSubstr("No such file or directory")));
}

}  // namespace
}  // namespace sendstep::plugin
