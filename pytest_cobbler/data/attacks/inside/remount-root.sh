# tries: make the image's root file system writable
# holds: no capabilities
attempt "it is remounted" 165 none / none 4128 0
