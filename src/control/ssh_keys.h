#pragma once
// Keys in the forms that ssh and EC2 use. Pure functions over OpenSSL; they throw ApiError for what a caller sent.
//
// Fingerprints follow "Verify the fingerprint of your key pair" in the EC2 User Guide: of an RSA key made here the
// SHA-1 of the private key's PKCS#8 DER, of an imported one the MD5 of the public key's DER; of an ED25519 key ssh's
// SHA-256.

#include <string>

namespace kiln::control {

struct SshKey {
  std::string type;         // rsa, ed25519
  std::string public_line;  // "ssh-ed25519 AAAA...", without a comment
  std::string fingerprint;
  std::string private_key;  // empty for an imported key
};

SshKey make_rsa_key();      // 2048 bits, PKCS#1 PEM
SshKey make_ed25519_key();  // openssh-key-v1 (PROTOCOL.key of OpenSSH)
// An OpenSSH line, the base64 of an OpenSSH blob, or a PEM SubjectPublicKeyInfo. Throws InvalidKey.Format.
SshKey read_public_key(const std::string& text);

}  // namespace kiln::control
