#pragma once

namespace pgrevive::storage::s3 {

// Where on its way a request was turned away, in the order of the way.
enum class Cause {
  resolve,      // the endpoint's name has no address
  connect,      // nobody answers there
  tls,          // or a certificate that is not trusted, or the CA file cannot be read
  server,       // what answers is no S3 server, or one in trouble
  clock,        // the times of the two are too far apart
  region,       // the bucket is in another one, or served elsewhere
  credentials,  // keys or token
  bucket,       // there is none of that name
  permission,   // the keys are right, and may not do this
  object,       // there is none, or not in the state that was hoped for
};

}  // namespace pgrevive::storage::s3
