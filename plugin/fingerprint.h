// Tells two emails apart without keeping either.
#ifndef SENDSTEP_PLUGIN_FINGERPRINT_H_
#define SENDSTEP_PLUGIN_FINGERPRINT_H_

#include <string>

#include "plugin/command.h"
#include "plugin/keyed_digest.h"

namespace sendstep::plugin {

// A keyed digest of the content and the envelope: of what recipients see and of who they are.
// Settings, credentials and flags have no part in it. Without the key nobody can try whether a
// guess fits.
std::string Fingerprint(const KeyedDigest& digest, const SendCommand& command);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_FINGERPRINT_H_
