// The contract as data: what the generated code leaves out, its comments.
#ifndef SENDSTEP_PROTOS_CONTRACT_DESCRIPTOR_H_
#define SENDSTEP_PROTOS_CONTRACT_DESCRIPTOR_H_

#include <string_view>

namespace sendstep {

// A serialized google.protobuf.FileDescriptorSet: sendstep/v1/email_action.proto with source info,
// after the files it imports.
std::string_view ContractDescriptorSet();

}  // namespace sendstep

#endif  // SENDSTEP_PROTOS_CONTRACT_DESCRIPTOR_H_
