// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace muster::agent {

/// The page on which a person with only a browser sets the device up. Whole in itself; names from the air are shown as text, never as
/// markup. Fields are filled in from the query (`/?blynk=...&host=...`), so that a link can carry them.
inline constexpr std::string_view setup_page = R"page(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Device setup</title><style>
*{box-sizing:border-box}body{font:16px/1.4 system-ui,sans-serif;margin:0 auto;padding:16px;max-width:480px;color:#111;background:#fff}
h1{font-size:20px;overflow-wrap:anywhere}label{display:block;margin:12px 0 4px}
input,button{font:inherit;width:100%;min-height:44px;padding:8px 12px;border:1px solid #767676;border-radius:8px;background:#fff;color:#111}
button{cursor:pointer}button:focus-visible,input:focus-visible{outline:3px solid #1769aa;outline-offset:1px}
.go{background:#14532d;border-color:#14532d;color:#fff;margin-top:20px}
#nets button{display:flex;justify-content:space-between;gap:8px;text-align:left;margin:4px 0}#nets span{overflow-wrap:anywhere;min-width:0}
#nets button[aria-pressed=true]{border:2px solid #14532d;background:#ecfdf3}
.row{display:flex;gap:8px}.row button{width:auto}#say{padding:12px;border-radius:8px;background:#eef2f7;margin:12px 0}
#say.bad{background:#fdecea}#say.good{background:#ecfdf3}#say:empty,[hidden]{display:none}
@media(prefers-color-scheme:dark){body,input,button{background:#16181c;color:#eee}#nets button[aria-pressed=true],#say.good{background:#12351f}#say{background:#252a31}#say.bad{background:#4a1d1a}}
</style></head><body><h1 id="name">Device setup</h1><div id="say" role="status" aria-live="polite"></div>
<form id="f" method="post" action="/config"><input type="hidden" name="if" value="wifi">
<p id="nets" aria-label="Networks nearby"></p><button type="button" id="scan">Search networks</button>
<label for="ssid">Wi-Fi network</label><input id="ssid" name="ssid" required autocapitalize="none" autocorrect="off" spellcheck="false">
<label for="pass">Password</label><div class="row"><input id="pass" name="pass" type="password" maxlength="64" autocomplete="off" autocapitalize="none"><button type="button" id="show" aria-pressed="false">Show</button></div>
<label for="blynk">Device token (32 characters)</label><input id="blynk" name="blynk" required minlength="32" maxlength="32" pattern="[-_A-Za-z0-9]{32}" autocapitalize="none" spellcheck="false" autocomplete="off">
<label for="host">Cloud address</label><input id="host" name="host" maxlength="63" autocapitalize="none" spellcheck="false" inputmode="url">
<label for="port">Port (if not the usual one)</label><input id="port" name="port_ssl" maxlength="5" inputmode="numeric" pattern="[0-9]*">
<button class="go" id="go">Connect</button></form>
<script>
var $=function(i){return document.getElementById(i)},stop=0,lost=0,words={switching:"Taking the settings",connecting_net:"Joining the Wi-Fi network",connecting_cloud:"Reaching the cloud",running:"Online"};
function get(u,b,ok,no){var x=new XMLHttpRequest;x.open(b?"POST":"GET",u);x.timeout=30000;if(b)x.setRequestHeader("Content-Type","application/x-www-form-urlencoded");
x.onload=function(){var j;try{j=JSON.parse(x.responseText)}catch(e){j={}}ok(j,x.status)};x.onerror=x.ontimeout=no;x.send(b)}
function say(t,c){$("say").className=c||"";$("say").textContent=t}
function bars(r){return r>-55?"strong":r>-70?"good":"weak"}
function scan(){var b=$("scan");b.disabled=true;b.textContent="Searching\u2026";get("/wifi_scan.json","",function(l){
var n=$("nets"),seen={};n.textContent="";(l.forEach?l:[]).forEach(function(w){if(seen["$"+w.ssid])return;seen["$"+w.ssid]=1;
var e=document.createElement("button"),s=document.createElement("span"),q=document.createElement("small");e.type="button";e.setAttribute("aria-pressed","false");
s.textContent=w.ssid;q.textContent=(w.sec==="OPEN"?"open, ":"")+bars(w.rssi);e.appendChild(s);e.appendChild(q);
e.onclick=function(){$("ssid").value=w.ssid;[].forEach.call(n.children,function(o){o.setAttribute("aria-pressed",o===e)});if(w.sec!=="OPEN")$("pass").focus()};n.appendChild(e)});
b.disabled=false;b.textContent=n.firstChild?"Search again":"None found. Search again"},function(){b.disabled=false;b.textContent="Search again"})}
function done(t,c){stop=1;say(t,c);$("f").hidden=c==="good";$("go").disabled=false;$("go").textContent="Try again"}
function watch(){if(stop)return;get("/status.json","",function(s){lost=0;
if(s.outcome==="succeeded")return done("Done. The device is online. You can close this page.","good");
if(s.outcome==="failed")return done(s.message+" "+s.fix+" (code "+s.last_error+")","bad");
say((words[s.state]||"Waiting")+"\u2026");setTimeout(watch,1000)},function(){if(++lost>60)return done("The device cannot be reached from here any more. Its light shows how it went: blinking blue means that it waits for another try.","bad");
say("Connecting. This phone may lose the device\u2019s network for a moment\u2026");setTimeout(watch,1000)})}
$("f").onsubmit=function(e){e.preventDefault();var b=[].map.call($("f").querySelectorAll("input"),function(i){return i.name+"="+encodeURIComponent(i.value)}).join("&");
$("go").disabled=true;stop=lost=0;say("Sending the settings\u2026");get("/config",b,function(j,s){if(s!==200)return done(j.msg||"The device refused the settings.","bad");watch()},function(){watch()})};
$("show").onclick=function(){var p=$("pass"),h=p.type==="password";p.type=h?"text":"password";this.textContent=h?"Hide":"Show";this.setAttribute("aria-pressed",h)};
$("scan").onclick=scan;location.search.slice(1).split("&").forEach(function(p){var k=p.split("="),i={ssid:"ssid",blynk:"blynk",host:"host",port_ssl:"port",port:"port"}[k[0]];
if(i)try{$(i).value=decodeURIComponent((k[1]||"").replace(/\+/g," "))}catch(e){}});
get("/status.json","",function(s){if(s.name)document.title=$("name").textContent=s.name;if(s.outcome==="failed")say("Last time: "+s.message+" "+s.fix,"bad")},function(){});scan();
</script></body></html>
)page";

}  // namespace muster::agent
