// Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext.
#include "control/kms_data.h"
#include "services/kms/operations.h"

namespace kiln::services::kms {

struct EncryptRequest {
  std::string key_id;
  wire::Blob plaintext;
  wire::TextMap encryption_context;
  std::string encryption_algorithm;
  bool dry_run = false;
};

struct EncryptResponse {
  wire::Blob ciphertext_blob;
  std::string key_id, encryption_algorithm = "SYMMETRIC_DEFAULT";
};

struct DecryptRequest {
  wire::Blob ciphertext_blob;
  wire::TextMap encryption_context;
  std::string key_id, encryption_algorithm;
  bool dry_run = false;
};

struct DecryptResponse {
  std::string key_id;
  wire::Blob plaintext;
  std::string encryption_algorithm = "SYMMETRIC_DEFAULT";
};

struct ReEncryptRequest {
  wire::Blob ciphertext_blob;
  wire::TextMap source_encryption_context;
  std::string source_key_id, destination_key_id;
  wire::TextMap destination_encryption_context;
  std::string source_encryption_algorithm, destination_encryption_algorithm;
  bool dry_run = false;
};

struct ReEncryptResponse {
  wire::Blob ciphertext_blob;
  std::string source_key_id, key_id;
  std::string source_encryption_algorithm = "SYMMETRIC_DEFAULT", destination_encryption_algorithm = "SYMMETRIC_DEFAULT";
};

struct GenerateDataKeyRequest {
  std::string key_id;
  wire::TextMap encryption_context;
  std::optional<int> number_of_bytes;
  std::string key_spec;
  bool dry_run = false;
};

struct GenerateDataKeyResponse {
  wire::Blob ciphertext_blob, plaintext;
  std::string key_id;
};

struct GenerateDataKeyWithoutPlaintextResponse {
  wire::Blob ciphertext_blob;
  std::string key_id;
};

}  // namespace kiln::services::kms

KILN_WIRE(kiln::services::kms::EncryptRequest, key_id, plaintext, encryption_context, encryption_algorithm, dry_run)
KILN_WIRE(kiln::services::kms::EncryptResponse, ciphertext_blob, key_id, encryption_algorithm)
KILN_WIRE(kiln::services::kms::DecryptRequest, ciphertext_blob, encryption_context, key_id, encryption_algorithm,
          dry_run)
KILN_WIRE(kiln::services::kms::DecryptResponse, key_id, plaintext, encryption_algorithm)
KILN_WIRE(kiln::services::kms::ReEncryptRequest, ciphertext_blob, source_encryption_context, source_key_id,
          destination_key_id, destination_encryption_context, source_encryption_algorithm,
          destination_encryption_algorithm, dry_run)
KILN_WIRE(kiln::services::kms::ReEncryptResponse, ciphertext_blob, source_key_id, key_id, source_encryption_algorithm,
          destination_encryption_algorithm)
KILN_WIRE(kiln::services::kms::GenerateDataKeyRequest, key_id, encryption_context, number_of_bytes, key_spec, dry_run)
KILN_WIRE(kiln::services::kms::GenerateDataKeyResponse, ciphertext_blob, plaintext, key_id)
KILN_WIRE(kiln::services::kms::GenerateDataKeyWithoutPlaintextResponse, ciphertext_blob, key_id)

namespace kiln::services::kms {
namespace {

using base::ApiError;

constexpr std::size_t most_plain = 4096, most_ciphertext = 6144;

void check_algorithm(const std::string& algorithm) {
  if (!algorithm.empty() && algorithm != "SYMMETRIC_DEFAULT") {
    throw ApiError("InvalidKeyUsageException", "Algorithm " + algorithm +
                                                   " is incompatible with key spec "
                                                   "SYMMETRIC_DEFAULT.");
  }
}

void check_length(const std::string& bytes, std::size_t most, const std::string& member) {
  if (!bytes.empty() && bytes.size() <= most) return;
  throw ApiError("ValidationException", "1 validation error detected: Value at '" + member +
                                            "' failed to satisfy constraint: Member must have a length of 1 to " +
                                            std::to_string(most));
}

// Once all else is known to be right.
void end_dry_run(bool dry_run) {
  if (dry_run) {
    throw ApiError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", 412);
  }
}

std::string text_of(std::span<const std::byte> bytes) { return std::string(base::as_text(bytes)); }

EncryptResponse encrypt(Call& call, const EncryptRequest& request) {
  check_algorithm(request.encryption_algorithm);
  check_length(request.plaintext.bytes, most_plain, "plaintext");
  auto made = control::encrypt(call.region, {.account = call.principal.account, .principal = &call.principal},
                               request.key_id, base::as_bytes(request.plaintext.bytes), request.encryption_context);
  end_dry_run(request.dry_run);
  return {.ciphertext_blob = {std::move(made.ciphertext)}, .key_id = made.key.arn()};
}

DecryptResponse decrypt(Call& call, const DecryptRequest& request) {
  check_algorithm(request.encryption_algorithm);
  check_length(request.ciphertext_blob.bytes, most_ciphertext, "ciphertextBlob");
  const auto made = control::decrypt(call.region, {.account = call.principal.account, .principal = &call.principal},
                                     request.key_id, request.ciphertext_blob.bytes, request.encryption_context);
  end_dry_run(request.dry_run);
  return {.key_id = made.key.arn(), .plaintext = {text_of(made.plain.bytes())}};
}

ReEncryptResponse re_encrypt(Call& call, const ReEncryptRequest& request) {
  check_algorithm(request.source_encryption_algorithm);
  check_algorithm(request.destination_encryption_algorithm);
  check_length(request.ciphertext_blob.bytes, most_ciphertext, "ciphertextBlob");
  const control::KeyCaller caller{.account = call.principal.account, .principal = &call.principal};
  const auto plain = control::decrypt(call.region, caller, request.source_key_id, request.ciphertext_blob.bytes,
                                      request.source_encryption_context, "kms:ReEncryptFrom");
  auto made = control::encrypt(call.region, caller, request.destination_key_id, plain.plain.bytes(),
                               request.destination_encryption_context, "kms:ReEncryptTo");
  end_dry_run(request.dry_run);
  return {.ciphertext_blob = {std::move(made.ciphertext)}, .source_key_id = plain.key.arn(), .key_id = made.key.arn()};
}

GenerateDataKeyResponse generate(Call& call, const GenerateDataKeyRequest& request, const std::string& action) {
  if (request.number_of_bytes.has_value() == !request.key_spec.empty()) {
    throw ApiError("ValidationException", "Please specify either number of bytes or key spec.");
  }
  if (!request.key_spec.empty() && request.key_spec != "AES_256" && request.key_spec != "AES_128") {
    throw ApiError("ValidationException", "1 validation error detected: Value '" + request.key_spec +
                                              "' at 'keySpec' failed to satisfy constraint: Member must satisfy enum "
                                              "value set: [AES_256, AES_128]");
  }
  const int count = request.number_of_bytes.value_or(request.key_spec == "AES_128" ? 16 : 32);
  if (count < 1 || count > 1024) {
    throw ApiError("ValidationException", "1 validation error detected: Value '" + std::to_string(count) +
                                              "' at 'numberOfBytes' failed to satisfy constraint: a number from 1 to "
                                              "1024");
  }
  const auto plain = keys::SecretBytes::random(static_cast<std::size_t>(count));
  auto made = control::encrypt(call.region, {.account = call.principal.account, .principal = &call.principal},
                               request.key_id, plain.bytes(), request.encryption_context, action);
  end_dry_run(request.dry_run);
  return {
      .ciphertext_blob = {std::move(made.ciphertext)}, .plaintext = {text_of(plain.bytes())}, .key_id = made.key.arn()};
}

GenerateDataKeyResponse generate_data_key(Call& call, const GenerateDataKeyRequest& request) {
  return generate(call, request, "kms:GenerateDataKey");
}

GenerateDataKeyWithoutPlaintextResponse generate_data_key_without_plaintext(Call& call,
                                                                            const GenerateDataKeyRequest& request) {
  auto made = generate(call, request, "kms:GenerateDataKeyWithoutPlaintext");
  return {.ciphertext_blob = std::move(made.ciphertext_blob), .key_id = made.key_id};
}

constexpr Operation operations[] = {
    operation<decrypt>("Decrypt", Access::reads),
    operation<encrypt>("Encrypt", Access::reads),
    operation<generate_data_key>("GenerateDataKey", Access::reads),
    operation<generate_data_key_without_plaintext>("GenerateDataKeyWithoutPlaintext", Access::reads),
    operation<re_encrypt>("ReEncrypt", Access::reads),
};

}  // namespace

std::span<const Operation> data_operations() { return operations; }

}  // namespace kiln::services::kms
