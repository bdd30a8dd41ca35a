#!/bin/sh
# fetch-neon.sh DESTINATION: check out NEON_COMMIT of NEON_REPOSITORY and make sure that it is what was asked for.
# Another commit than v2.6.0's is refused unless ALLOW_OTHER_NEON_COMMIT=yes, so that no image passes for neon 2.6.0 by accident.
set -eu
v2_6_0=f9d771bbb5f5fa3ae129748596d0ced5389c7f88
if [ "$NEON_COMMIT" != "$v2_6_0" ] && [ "${ALLOW_OTHER_NEON_COMMIT:-no}" != yes ]; then
    echo "fetch-neon: NEON_COMMIT=$NEON_COMMIT is not neon v2.6.0 ($v2_6_0)." \
         "Leave it out, or allow it with --build-arg ALLOW_OTHER_NEON_COMMIT=yes." >&2
    exit 2
fi
git clone --quiet --no-checkout "$NEON_REPOSITORY" "$1" || {
    echo "fetch-neon: $NEON_REPOSITORY cannot be cloned; name a copy with NEON_REPOSITORY=URL" \
         "(docker build: --build-arg NEON_REPOSITORY=URL)." >&2
    exit 1
}
git -C "$1" checkout --quiet --detach "$NEON_COMMIT" || {
    echo "fetch-neon: $NEON_REPOSITORY has no commit $NEON_COMMIT." >&2
    exit 1
}
# NEON_COMMIT is a full hash, so git itself has checked every byte against it; a branch or a tag would not be checked.
[ "$(git -C "$1" rev-parse HEAD)" = "$NEON_COMMIT" ] || {
    echo "fetch-neon: NEON_COMMIT=$NEON_COMMIT is not a full commit hash (40 digits)." >&2
    exit 2
}
