#include "plugin/yaml_message.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"

namespace sendstep::plugin {
namespace {

namespace pb = google::protobuf;

constexpr size_t kMaxBytes = 40 * 1024 * 1024;
constexpr int kMaxDepth = 32;
constexpr int kMaxValues = 100'000;
constexpr size_t kMaxShownKey = 64;

constexpr std::string_view kYamlTag = "tag:yaml.org,2002:";

std::string At(std::string_view name, int line) {
  return std::string(name) + ":" + std::to_string(line) + ": ";
}

// A key as it may stand in a message: keys are the schema's words, but a misplaced brace makes a
// key of anything.
std::string ShownKey(const std::string& key) {
  const bool plain = !key.empty() && key.size() <= kMaxShownKey &&
                     std::all_of(key.begin(), key.end(), [](unsigned char c) {
                       return std::isalnum(c) || c == '_' || c == '-' || c == '.';
                     });
  return plain ? key : "?";
}

std::string FieldNames(const pb::Descriptor& type) {
  std::string names;
  for (int i = 0; i < type.field_count(); ++i) {
    names += (i ? ", " : "") + type.field(i)->name();
  }
  return names;
}

const pb::FieldDescriptor* FindField(const pb::Descriptor& type, const std::string& key) {
  const auto* field = type.FindFieldByName(key);
  return field ? field : type.FindFieldByCamelcaseName(key);
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// The prefix of an enum's values: what stands before "UNSPECIFIED" in the first.
std::string ValuePrefix(const pb::EnumDescriptor& type) {
  const std::string& zero = type.value(0)->name();
  const size_t at = zero.rfind("UNSPECIFIED");
  return at == std::string::npos ? "" : zero.substr(0, at);
}

const pb::EnumValueDescriptor* FindEnumValue(const pb::EnumDescriptor& type,
                                             const std::string& text) {
  if (const auto* value = type.FindValueByName(text)) return value;
  if (const auto* value = type.FindValueByName(ValuePrefix(type) + Upper(text))) return value;
  int number = 0;
  return absl::SimpleAtoi(text, &number) ? type.FindValueByNumber(number) : nullptr;
}

std::string EnumNames(const pb::EnumDescriptor& type) {
  const size_t prefix = ValuePrefix(type).size();
  std::string names;
  for (int i = 0; i < type.value_count(); ++i) {
    std::string name = type.value(i)->name().substr(prefix);
    if (name == "UNSPECIFIED") continue;
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

bool ParseBool(const std::string& text, bool* value) {
  *value = text == "true" || text == "True" || text == "TRUE";
  return *value || text == "false" || text == "False" || text == "FALSE";
}

bool Decode64(std::string text, std::string* bytes) {
  std::erase_if(text, [](unsigned char c) { return std::isspace(c); });
  return absl::Base64Unescape(text, bytes) || absl::WebSafeBase64Unescape(text, bytes);
}

// Walks the document and the message type together.
class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) {}

  absl::Status ReadMessage(const YAML::Node& node, pb::Message& out) {
    const pb::Descriptor& type = *out.GetDescriptor();
    if (!node.IsMap()) {
      return Wrong(node, "wants a mapping with: " + FieldNames(type));
    }
    std::set<const pb::FieldDescriptor*> seen;
    for (const auto& entry : node) {
      absl::Status status = ReadEntry(entry.first, entry.second, seen, out);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  // One more level of path and depth for as long as it lives.
  class Level {
   public:
    Level(Reader& reader, const std::string& step) : reader_(reader), size_(reader.path_.size()) {
      reader_.path_ += step;
      ++reader_.depth_;
    }
    ~Level() {
      reader_.path_.resize(size_);
      --reader_.depth_;
    }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Reader& reader_;
    size_t size_;
  };

  std::string Step(const std::string& name) const { return (path_.empty() ? "" : ".") + name; }

  absl::Status Wrong(const YAML::Node& node, const std::string& what) const {
    return absl::InvalidArgumentError(At(name_, node.Mark().line + 1) +
                                      (path_.empty() ? "" : path_ + ": ") + what);
  }

  // Limits hold wherever a value is read, through an alias or not.
  absl::Status Enter(const YAML::Node& node) {
    if (++values_ > kMaxValues) return Wrong(node, "more than 100000 values");
    if (depth_ > kMaxDepth) return Wrong(node, "nested deeper than 32 levels");
    const std::string& tag = node.Tag();
    if (!tag.empty() && tag != "?" && tag != "!" && tag.rfind(kYamlTag, 0) != 0) {
      return Wrong(node, "tags are not understood");
    }
    return absl::OkStatus();
  }

  absl::Status ReadEntry(const YAML::Node& key, const YAML::Node& value,
                         std::set<const pb::FieldDescriptor*>& seen, pb::Message& out) {
    const pb::Descriptor& type = *out.GetDescriptor();
    if (!key.IsScalar()) return Wrong(key, "a field name must be plain text");
    const auto* field = FindField(type, key.Scalar());
    if (!field) {
      // "{hunter2}" is a key without a value: perhaps a secret in braces.
      const std::string shown = value.IsNull() ? "?" : ShownKey(key.Scalar());
      return Wrong(key, "unknown field \"" + shown + "\"; known: " + FieldNames(type));
    }
    const Level level(*this, Step(field->name()));
    if (!seen.insert(field).second) return Wrong(key, "given twice");
    if (absl::Status status = Enter(value); !status.ok()) return status;
    if (value.IsNull()) return absl::OkStatus();
    if (const auto* oneof = field->real_containing_oneof();
        oneof && out.GetReflection()->HasOneof(out, oneof)) {
      const auto* other = out.GetReflection()->GetOneofFieldDescriptor(out, oneof);
      return Wrong(key, "excludes \"" + other->name() + "\", which is given too");
    }
    if (field->is_map()) return ReadMap(value, *field, out);
    if (field->is_repeated()) return ReadList(value, *field, out);
    return ReadValue(value, *field, out);
  }

  absl::Status ReadList(const YAML::Node& node, const pb::FieldDescriptor& field,
                        pb::Message& out) {
    if (!node.IsSequence()) return Wrong(node, "wants a list");
    size_t index = 0;
    for (const auto& item : node) {
      const Level level(*this, "[" + std::to_string(index++) + "]");
      if (absl::Status status = Enter(item); !status.ok()) return status;
      if (absl::Status status = ReadValue(item, field, out); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status ReadMap(const YAML::Node& node, const pb::FieldDescriptor& field, pb::Message& out) {
    if (!node.IsMap()) return Wrong(node, "wants a mapping of names");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return Wrong(entry.first, "a name must be plain text");
      const Level level(*this, Step(ShownKey(entry.first.Scalar())));
      if (!seen.insert(entry.first.Scalar()).second) return Wrong(entry.first, "given twice");
      if (absl::Status status = Enter(entry.second); !status.ok()) return status;
      pb::Message& pair = *out.GetReflection()->AddMessage(&out, &field);
      const pb::Descriptor& type = *pair.GetDescriptor();
      absl::Status status = ReadValue(entry.first, *type.map_key(), pair);
      if (status.ok()) status = ReadValue(entry.second, *type.map_value(), pair);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // One value: sets a single field, appends to a list.
  absl::Status ReadValue(const YAML::Node& node, const pb::FieldDescriptor& field,
                         pb::Message& out) {
    if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      const pb::Reflection& reflection = *out.GetReflection();
      pb::Message& part = field.is_repeated() ? *reflection.AddMessage(&out, &field)
                                              : *reflection.MutableMessage(&out, &field);
      return ReadPart(node, part);
    }
    if (!node.IsScalar()) return Wrong(node, "wants one value, not a list or mapping or nothing");
    return ReadScalar(node, field, out);
  }

  absl::Status ReadPart(const YAML::Node& node, pb::Message& part) {
    using pb::util::TimeUtil;
    if (auto* duration = dynamic_cast<pb::Duration*>(&part)) {
      const bool ok = node.IsScalar() && TimeUtil::FromString(node.Scalar(), duration);
      return ok ? absl::OkStatus() : Wrong(node, "wants seconds, e.g. \"1.5s\"");
    }
    if (auto* time = dynamic_cast<pb::Timestamp*>(&part)) {
      const bool ok = node.IsScalar() && TimeUtil::FromString(node.Scalar(), time);
      return ok ? absl::OkStatus() : Wrong(node, "wants a time, e.g. \"2026-01-31T12:00:00Z\"");
    }
    return ReadMessage(node, part);
  }

  absl::Status ReadScalar(const YAML::Node& node, const pb::FieldDescriptor& field,
                          pb::Message& out);

  std::string_view name_;
  std::string path_;
  int depth_ = 0;
  int values_ = 0;
};

// Sets or appends `value` with the reflection calls of its type.
#define SENDSTEP_STORE(Type, value)                                          \
  (field.is_repeated() ? out.GetReflection()->Add##Type(&out, &field, value) \
                       : out.GetReflection()->Set##Type(&out, &field, value))

absl::Status Reader::ReadScalar(const YAML::Node& node, const pb::FieldDescriptor& field,
                                pb::Message& out) {
  const std::string& text = node.Scalar();
  int32_t i32 = 0;
  int64_t i64 = 0;
  uint32_t u32 = 0;
  uint64_t u64 = 0;
  float f = 0;
  double d = 0;
  bool b = false;
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_STRING: {
      if (field.type() == pb::FieldDescriptor::TYPE_STRING) {
        SENDSTEP_STORE(String, text);
        return absl::OkStatus();
      }
      std::string bytes;
      if (!Decode64(text, &bytes)) return Wrong(node, "wants base64");
      SENDSTEP_STORE(String, std::move(bytes));
      return absl::OkStatus();
    }
    case pb::FieldDescriptor::CPPTYPE_ENUM: {
      const auto* value = FindEnumValue(*field.enum_type(), text);
      if (!value) return Wrong(node, "wants one of: " + EnumNames(*field.enum_type()));
      SENDSTEP_STORE(Enum, value);
      return absl::OkStatus();
    }
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      if (!ParseBool(text, &b)) return Wrong(node, "wants true or false");
      SENDSTEP_STORE(Bool, b);
      return absl::OkStatus();
    case pb::FieldDescriptor::CPPTYPE_INT32:
      if (!absl::SimpleAtoi(text, &i32)) return Wrong(node, "wants a whole number");
      SENDSTEP_STORE(Int32, i32);
      return absl::OkStatus();
    case pb::FieldDescriptor::CPPTYPE_INT64:
      if (!absl::SimpleAtoi(text, &i64)) return Wrong(node, "wants a whole number");
      SENDSTEP_STORE(Int64, i64);
      return absl::OkStatus();
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      if (!absl::SimpleAtoi(text, &u32)) return Wrong(node, "wants a whole number from 0");
      SENDSTEP_STORE(UInt32, u32);
      return absl::OkStatus();
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      if (!absl::SimpleAtoi(text, &u64)) return Wrong(node, "wants a whole number from 0");
      SENDSTEP_STORE(UInt64, u64);
      return absl::OkStatus();
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      if (!absl::SimpleAtof(text, &f)) return Wrong(node, "wants a number");
      SENDSTEP_STORE(Float, f);
      return absl::OkStatus();
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      if (!absl::SimpleAtod(text, &d)) return Wrong(node, "wants a number");
      SENDSTEP_STORE(Double, d);
      return absl::OkStatus();
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return Wrong(node, "cannot be set from a file");
}
#undef SENDSTEP_STORE

// yaml-cpp's words without what it quotes from the text: a password that starts with "*" is an
// alias nobody defined.
std::string ParserWords(const YAML::Exception& error) {
  const std::string words = error.msg.substr(0, error.msg.find(':'));
  if (words.find("anchor") != std::string::npos || words.find("alias") != std::string::npos) {
    return words + " (put quotes around a value that starts with * or &)";
  }
  return words;
}

}  // namespace

absl::Status YamlToMessage(std::string_view yaml, std::string_view name, pb::Message& out) {
  if (yaml.size() > kMaxBytes) {
    return absl::InvalidArgumentError(std::string(name) + ": larger than 40 MiB");
  }
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(yaml));
    if (documents.size() > 1) {
      return absl::InvalidArgumentError(At(name, documents[1].Mark().line + 1) +
                                        "a second document; one is wanted");
    }
    if (documents.empty() || documents[0].IsNull()) return absl::OkStatus();
    return Reader(name).ReadMessage(documents[0], out);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(At(name, error.mark.line + 1) + ParserWords(error));
  }
}

}  // namespace sendstep::plugin
