# The descriptor set IN as a C++ source OUT: ContractDescriptorSet() of protos/contract_descriptor.h.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${hex}")
string(REGEX REPLACE "((\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..))" "\\1\"\n    \"" bytes "${bytes}")
file(SIZE ${IN} size)
file(WRITE ${OUT} "#include \"protos/contract_descriptor.h\"\n
namespace sendstep {\n
std::string_view ContractDescriptorSet() {
  static constexpr char kBytes[] =
    \"${bytes}\";
  return {kBytes, ${size}};
}\n
}  // namespace sendstep\n")
