"""A learning switch on os-ken's framework, for OpenFlow 1.0, 1.3 and 1.5.

OFP_VERSION (1.0, 1.3 or 1.5) says which version it offers.  A table-miss flow
sends packets here (1.0 switches do so on their own); a destination that is known
gets a flow.  It asks for the switch's description and ends the program when an
error message comes, so that a test sees what the switch refused.
"""
import os
import sys

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import (CONFIG_DISPATCHER, HANDSHAKE_DISPATCHER,
                                       MAIN_DISPATCHER, set_ev_cls)
from os_ken.lib.packet import ethernet, packet
from os_ken.ofproto import ofproto_v1_0, ofproto_v1_3, ofproto_v1_5

VERSION = {'1.0': ofproto_v1_0, '1.3': ofproto_v1_3,
           '1.5': ofproto_v1_5}[os.environ['OFP_VERSION']].OFP_VERSION
EVERY = [HANDSHAKE_DISPATCHER, CONFIG_DISPATCHER, MAIN_DISPATCHER]


class Learning(app_manager.OSKenApp):
    OFP_VERSIONS = [VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ports = {}  # (datapath, address): port

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def features(self, ev):
        dp = ev.msg.datapath
        print('switch %016x' % dp.id, flush=True)
        if VERSION != ofproto_v1_0.OFP_VERSION:
            p = dp.ofproto_parser
            self.add(dp, 0, p.OFPMatch(),
                     [p.OFPActionOutput(dp.ofproto.OFPP_CONTROLLER, dp.ofproto.OFPCML_NO_BUFFER)])

    @set_ev_cls(ofp_event.EventOFPStateChange, MAIN_DISPATCHER)
    def connected(self, ev):
        dp = ev.datapath
        p = dp.ofproto_parser
        dp.send_msg(p.OFPDescStatsRequest(dp, 0))
        dp.send_msg(p.OFPBarrierRequest(dp))

    @set_ev_cls(ofp_event.EventOFPDescStatsReply, MAIN_DISPATCHER)
    def description(self, ev):
        body = ev.msg.body
        body = body[0] if isinstance(body, list) else body
        print('description', body.mfr_desc, body.hw_desc, flush=True)

    @set_ev_cls(ofp_event.EventOFPErrorMsg, EVERY)
    def error(self, ev):
        print('error', ev.msg.type, ev.msg.code, flush=True)
        sys.stdout.flush()
        os._exit(1)

    def add(self, dp, priority, match, actions):
        o, p = dp.ofproto, dp.ofproto_parser
        if VERSION == ofproto_v1_0.OFP_VERSION:
            dp.send_msg(p.OFPFlowMod(datapath=dp, match=match, cookie=0, command=o.OFPFC_ADD,
                                     idle_timeout=0, hard_timeout=0, priority=priority, actions=actions))
            return
        inst = [p.OFPInstructionActions(o.OFPIT_APPLY_ACTIONS, actions)]
        dp.send_msg(p.OFPFlowMod(datapath=dp, priority=priority, match=match, instructions=inst))

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, ev):
        msg = ev.msg
        dp = msg.datapath
        o, p = dp.ofproto, dp.ofproto_parser
        port = msg.in_port if VERSION == ofproto_v1_0.OFP_VERSION else msg.match['in_port']
        eth = packet.Packet(msg.data).get_protocol(ethernet.ethernet)
        self.ports[dp.id, eth.src] = port
        out = self.ports.get((dp.id, eth.dst), o.OFPP_FLOOD)
        actions = [p.OFPActionOutput(out)]
        if out != o.OFPP_FLOOD:
            if VERSION == ofproto_v1_0.OFP_VERSION:
                match = p.OFPMatch(in_port=port, dl_src=eth.src, dl_dst=eth.dst)
            else:
                match = p.OFPMatch(in_port=port, eth_src=eth.src, eth_dst=eth.dst)
            self.add(dp, 1, match, actions)
        data = None if msg.buffer_id != o.OFP_NO_BUFFER else msg.data
        if VERSION == ofproto_v1_5.OFP_VERSION:
            dp.send_msg(p.OFPPacketOut(datapath=dp, buffer_id=msg.buffer_id, actions=actions, data=data,
                                       match=p.OFPMatch(in_port=port)))
            return
        dp.send_msg(p.OFPPacketOut(datapath=dp, buffer_id=msg.buffer_id, in_port=port, actions=actions, data=data))
