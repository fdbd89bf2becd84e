#include "transport/smtp/data_framing.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/dialog_file.h"

namespace sendstep::smtp {
namespace {

using testing::DotStuffed;

struct Framed {
  std::string bytes;
  size_t blocks = 0;
};

Framed Frame(const base::Content& content, Framing how = Framing::kData) {
  Framed framed;
  DataFraming framing(content, how);
  std::vector<boost::asio::const_buffer> block;
  for (bool last = false; !last; ++framed.blocks) {
    last = framing.Next(block);
    size_t size = 0;
    for (const auto& buffer : block) {
      framed.bytes.append(static_cast<const char*>(buffer.data()), buffer.size());
      size += buffer.size();
    }
    EXPECT_LE(block.size(), DataFraming::kMaxBlockBuffers);
    EXPECT_LE(size, DataFraming::kMaxBlockBytes + DataFraming::kMaxBlockBuffers + 5);
    EXPECT_GT(size, 0u);
  }
  return framed;
}

Framed Frame(const std::string& message) { return Frame(base::Content(message)); }

MessageTraits Traits(std::string_view message) {
  return Inspect(base::Content(std::string(message)));
}

TEST(DataFraming, DoublesDotsThatBeginALineAndEndsWithALoneDot) {
  EXPECT_EQ(Frame("Hello\r\n").bytes, "Hello\r\n.\r\n");
  EXPECT_EQ(Frame(".\r\n").bytes, "..\r\n.\r\n");
  EXPECT_EQ(Frame("a.b\r\n..c\r\n.\r\n").bytes, "a.b\r\n...c\r\n..\r\n.\r\n");
  EXPECT_EQ(Frame("").bytes, ".\r\n");
}

TEST(DataFraming, EndsAnUnendedLine) {
  EXPECT_EQ(Frame("Hello").bytes, "Hello\r\n.\r\n");
  EXPECT_EQ(Frame("\r\n.").bytes, "\r\n..\r\n.\r\n");
}

TEST(DataFraming, DoesNotCopyTheMessage) {
  const std::string message(1000, 'x');
  const base::Content content(message);
  DataFraming framing(content, Framing::kData);
  std::vector<boost::asio::const_buffer> block;
  EXPECT_TRUE(framing.Next(block));
  EXPECT_EQ(block[0].data(), content.pieces()[0].text.data());
}

TEST(DataFraming, StuffsAcrossEveryBlockBoundary) {
  for (size_t shift = 0; shift < 8; ++shift) {
    std::string message = std::string(DataFraming::kMaxBlockBytes - 4 + shift, 'x');
    message.replace(DataFraming::kMaxBlockBytes - 8, 2, "\r\n");
    message += "\r\n.\r\n.\r\n";
    EXPECT_EQ(Frame(message).bytes, DotStuffed(message)) << shift;
  }
}

TEST(DataFraming, KeepsBlocksSmallForAMessageOfDots) {
  std::string message;
  for (int i = 0; i < 1000; ++i) message += ".\r\n";
  const Framed framed = Frame(message);
  EXPECT_EQ(framed.bytes, DotStuffed(message));
  EXPECT_GT(framed.blocks, 1u);
}

TEST(DataFraming, AgreesWithALineByLineMakingOfEveryShortMessage) {
  constexpr std::string_view kAlphabet = ".x\r\n";
  for (size_t n = 0; n < 4 * 4 * 4 * 4 * 4 * 4; ++n) {
    std::string message;
    for (size_t rest = n; rest > 0; rest /= 4) message += kAlphabet[rest % 4];
    if (!Traits(message).canonical) continue;
    EXPECT_EQ(Frame(message).bytes, DotStuffed(message));
  }
}

TEST(DataFraming, LeavesAChunkAsItIs) {
  for (const std::string& message : {std::string(".\r\n"), std::string("a\r\n.\r\n..b\r\n.\r\n"),
                                     std::string("no line break"), std::string("\r\n.")}) {
    EXPECT_EQ(Frame(base::Content(message), Framing::kChunk).bytes, message);
  }
}

TEST(DataFraming, LeavesAChunkOfSeveralBlocksAsItIs) {
  for (const size_t size : {DataFraming::kMaxBlockBytes - 1, DataFraming::kMaxBlockBytes,
                            DataFraming::kMaxBlockBytes + 1, 3 * DataFraming::kMaxBlockBytes}) {
    const std::string message = testing::GeneratedMessage(size);
    const Framed framed = Frame(base::Content(message), Framing::kChunk);
    EXPECT_EQ(framed.bytes, message);
    EXPECT_EQ(framed.blocks,
              (size + DataFraming::kMaxBlockBytes - 1) / DataFraming::kMaxBlockBytes);
  }
}

TEST(DataFraming, LeavesAChunkOfManyPiecesAsItIs) {
  const std::string file(100, '\xff');
  base::Content content;
  std::string expected;
  const base::Content encoded = [&] {
    base::Content one;
    one.AppendBase64(file);
    return one;
  }();
  const std::string base64 = Frame(encoded, Framing::kChunk).bytes;
  for (int i = 0; i < 300; ++i) {
    content.Append("\r\n.part\r\n");
    content.AppendBase64(file);
    expected += "\r\n.part\r\n" + base64;
  }
  content.Append("\r\n");
  expected += "\r\n";
  const Framed framed = Frame(content, Framing::kChunk);
  EXPECT_EQ(framed.bytes, expected);
  EXPECT_GT(framed.blocks, 1u);
  EXPECT_EQ(framed.bytes.size(), content.size());
}

TEST(Inspect, KnowsCanonicalLineBreaks) {
  for (const std::string_view message : {"", "a", "a\r\n", "\r\n\r\n", "a\r\nb"}) {
    EXPECT_TRUE(Traits(message).canonical) << message;
  }
  for (const std::string_view message :
       {"\n", "\r", "a\nb\r\n", "a\rb\r\n", "a\r\r\n", "a\r\n\n", "a\r\nb\r", "\n\r"}) {
    EXPECT_FALSE(Traits(message).canonical) << message;
  }
}

TEST(Inspect, TellsEightBitHeadersFromBodies) {
  EXPECT_FALSE(Traits("A: b\r\n\r\nc\r\n").eight_bit);
  EXPECT_TRUE(Traits("A: b\r\n\r\nü\r\n").eight_bit);
  EXPECT_FALSE(Traits("A: b\r\n\r\nü\r\n").eight_bit_headers);
  EXPECT_TRUE(Traits("A: ü\r\n\r\nc\r\n").eight_bit_headers);
}

}  // namespace
}  // namespace sendstep::smtp
