# SPDX-License-Identifier: Apache-2.0
# A hotel's web server: whoever asks for anything is sent to the sign-in page.
read -r request
printf 'HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/?from=cloud.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
