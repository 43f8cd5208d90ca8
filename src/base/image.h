#pragma once

namespace pgrevive {

// Whether this process runs in an image of our Dockerfile, which says so by PGREVIVE_ENVIRONMENT:
// what such a one lacks is a matter of how it was built, and its clock shows nobody's zone.
bool in_our_image();

}  // namespace pgrevive
