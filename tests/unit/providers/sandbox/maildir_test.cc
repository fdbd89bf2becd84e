#include "providers/sandbox/maildir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "tests/unit/providers/sandbox/support.h"

namespace sendstep::providers::sandbox {
namespace {

unsigned Mode(const fs::path& path) {
  struct stat status = {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

TEST(MaildirTest, FoldersAreMadeForTheirOwnerOnly) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "deep" / "mail";
  const auto maildir = Maildir::Open(path);
  ASSERT_TRUE(maildir.ok()) << maildir.status();
  for (const char* name : {"", "cur", "new", "tmp"}) {
    EXPECT_EQ(Mode(path / name), 0700u) << name;
  }
}

TEST(MaildirTest, WhatIsThereAlreadyIsUsed) {
  const TemporaryFolder folder;
  ASSERT_TRUE(Maildir::Open(folder.path()).ok());
  EXPECT_TRUE(Maildir::Open(folder.path()).ok());
}

TEST(MaildirTest, FileInTheWayIsAnError) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "mail") << "x";
  EXPECT_FALSE(Maildir::Open(folder.path() / "mail").ok());
  EXPECT_FALSE(Maildir::Open(folder.path() / "mail" / "below").ok());
}

TEST(MaildirTest, MessageAppearsInNewWhenItIsWhole) {
  const TemporaryFolder folder;
  const auto maildir = Maildir::Open(folder.path());
  ASSERT_TRUE(maildir.ok());
  auto file = maildir->Create();
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Write("one\r\n").ok());
  ASSERT_TRUE(file->Write("two\r\n").ok());
  EXPECT_TRUE(FilesIn(folder.path() / "new").empty());
  EXPECT_EQ(Mode(folder.path() / "tmp" / file->name()), 0600u);

  ASSERT_TRUE(file->Commit().ok());
  EXPECT_TRUE(FilesIn(folder.path() / "tmp").empty());
  EXPECT_EQ(ReadFile(folder.path() / "new" / file->name()), "one\r\ntwo\r\n");
  EXPECT_EQ(Mode(folder.path() / "new" / file->name()), 0600u);
}

TEST(MaildirTest, AbandonedMessageLeavesNothing) {
  const TemporaryFolder folder;
  const auto maildir = Maildir::Open(folder.path());
  ASSERT_TRUE(maildir.ok());
  {
    auto file = maildir->Create();
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Write("half").ok());
    MaildirFile moved = *std::move(file);
    EXPECT_EQ(FilesIn(folder.path() / "tmp").size(), 1u);
  }
  EXPECT_TRUE(FilesIn(folder.path() / "tmp").empty());
}

TEST(MaildirTest, NamesAreUniqueAndSayTheHost) {
  const TemporaryFolder folder;
  const auto maildir = Maildir::Open(folder.path());
  ASSERT_TRUE(maildir.ok());
  std::set<std::string> names;
  for (int i = 0; i < 100; ++i) {
    const auto file = maildir->Create();
    ASSERT_TRUE(file.ok());
    names.insert(file->name());
    EXPECT_TRUE(file->name().ends_with(".sandbox")) << file->name();
  }
  EXPECT_EQ(names.size(), 100u);
}

TEST(MaildirTest, LostFoldersAreErrors) {
  const TemporaryFolder folder;
  const auto maildir = Maildir::Open(folder.path());
  ASSERT_TRUE(maildir.ok());
  auto file = maildir->Create();
  ASSERT_TRUE(file.ok());
  fs::remove_all(folder.path() / "new");
  EXPECT_FALSE(file->Commit().ok());
  fs::remove_all(folder.path() / "tmp");
  EXPECT_FALSE(maildir->Create().ok());
}

}  // namespace
}  // namespace sendstep::providers::sandbox
